"""What askback made is known by its marker; everything else stays as it is."""

import ast
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from askback import owned
from askback.errors import AskbackError, InputError
from askback.export import check_out
from askback.owned.html_page import check_page, write_page
from askback.owned.marker import owns
from tests.commands import askback

SOURCE = Path(__file__).parents[1] / "src/askback"
CHANGES = {
    "rmtree",
    "copytree",
    "move",
    "unlink",
    "rename",
    "symlink_to",
    "hardlink_to",
    "touch",
    "removedirs",
}


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_are_replaced_and_removed_in_one_place(path: Path) -> None:
    if path.parent.name == "owned":
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, where = node.func.attr, ast.unparse(node.func.value)
        if where in ("owned", "temporary", "made"):
            continue
        assert name not in CHANGES and (where, name) != ("os", "remove"), ast.unparse(node)
        assert not (name == "replace" and len(node.args) == 1 and not node.keywords), ast.unparse(node)
        mode = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        assert not (name == "open" and mode and set(mode[0]) & set("wa")), ast.unparse(node)


def step(folder: Path) -> Path:
    """A folder of a step with a file, a growing file, and a folder that another program fills."""
    owned.claim(folder, "step")
    with owned.atomic(folder / "kept.txt") as temporary:
        temporary.write_text("kept")
    with owned.append(folder / "log.txt") as file:
        file.write(b"one\n")
    (owned.whole(folder / "board") / "events").write_text("e")
    return folder


def test_files_of_ours_can_be_replaced_and_removed(tmp_path: Path) -> None:
    folder = step(tmp_path / "x")
    with owned.atomic(folder / "kept.txt") as temporary:
        temporary.write_text("other")
    with owned.append(folder / "log.txt") as file:
        file.write(b"two\n")
    assert (folder / "kept.txt").read_text() == "other" and (folder / "log.txt").read_text() == "one\ntwo\n"
    owned.close(folder)
    owned.refuse_foreign(folder)
    owned.remove(folder / "kept.txt")
    owned.discard(folder, "step")
    assert not folder.exists() and not list(tmp_path.iterdir())


def edited(folder: Path) -> Path:
    (folder / "kept.txt").write_text("mine")
    return folder / "kept.txt"


def added(folder: Path) -> Path:
    (folder / "notes.txt").write_text("mine")
    return folder / "notes.txt"


def linked(folder: Path) -> Path:
    (folder / "kept.txt").unlink()
    (folder.parent / "outside").write_text("kept")
    (folder / "kept.txt").symlink_to(folder.parent / "outside")
    return folder / "kept.txt"


def nested(folder: Path) -> Path:
    """Another folder of ours, put there by the user."""
    step(folder / "copy/of")
    return folder / "copy/of" / owned.MARKER


def log_edited(folder: Path) -> Path:
    owned.close(folder)
    (folder / "log.txt").write_text("mine")
    return folder / "log.txt"


def made_again(folder: Path) -> Path:
    """Under the name of something that was removed."""
    owned.remove(folder / "kept.txt")
    (folder / "kept.txt").write_text("kept")
    return folder / "kept.txt"


def hidden(folder: Path) -> Path:
    (folder / ".kept.txt.0123456789abcdef.host.1.tmp").write_text("mine")
    return folder / ".kept.txt.0123456789abcdef.host.1.tmp"


@pytest.mark.parametrize("change", [edited, added, linked, nested, log_edited, made_again, hidden])
def test_what_is_not_listed_or_was_changed_stays(change: Callable[[Path], Path], tmp_path: Path) -> None:
    folder = step(tmp_path / "x")
    path = change(folder)
    before = path.read_bytes()
    with pytest.raises(InputError, match=path.name):
        owned.discard(folder, "step")
    owned.clear(folder)
    if change is not nested:
        with pytest.raises(InputError, match=path.name), owned.atomic(path) as temporary:
            temporary.write_text("ours")
        with pytest.raises(InputError, match=path.name):
            owned.remove(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "marker", [b"\x00\xff", b"[]\n", b"{}\n", b'{"askback": 1, "id": "a"}\n', b'{"askback": "step"', b"9" * 5000]
)
def test_a_damaged_marker_is_none(marker: bytes, tmp_path: Path) -> None:
    folder = step(tmp_path / "x")
    (folder / owned.MARKER).write_bytes(marker)
    with pytest.raises(InputError, match="no marker of this version"):
        owned.claim(folder, "step")
    with pytest.raises(InputError):
        owned.discard(folder, "step")
    assert (folder / "kept.txt").exists()


@pytest.mark.parametrize(
    "line", [b"\x00\xff\n", b'["kept.txt"]\n', b"[1, 2]\n", b'{"kept.txt": 1}\n', b'["../../y", "grows"]\n', b"[[[["]
)
def test_a_damaged_line_lists_nothing(line: bytes, tmp_path: Path) -> None:
    (tmp_path / "y").write_text("mine")
    folder = step(tmp_path / "a/x")
    with (folder / owned.MARKER).open("ab") as file:
        file.write(line)
    marker = owned.claim(folder, "step")
    assert owns(marker, folder / "kept.txt")
    owned.discard(folder, "step")
    assert (tmp_path / "y").read_text() == "mine"


def test_a_link_inside_is_not_followed(tmp_path: Path) -> None:
    folder = step(tmp_path / "x")
    (tmp_path / "outside").mkdir()
    (folder / "out").symlink_to(tmp_path / "outside")
    for write in (owned.atomic, owned.append, owned.whole, owned.claim):
        with pytest.raises(InputError, match="symbolic link"):
            write(*((folder / "out/file", "step") if write is owned.claim else (folder / "out/file",)))
    (tmp_path / "log").write_text("mine")
    (folder / "other.txt").symlink_to(tmp_path / "log")
    with pytest.raises((AskbackError, OSError)):
        owned.append(folder / "other.txt")
    assert (tmp_path / "log").read_text() == "mine" and not list((tmp_path / "outside").iterdir())


@pytest.mark.parametrize("made", ["text", "edited", "appended", "unsigned", "folder", "link", "pipe", "device"])
def test_a_report_replaces_only_a_report(made: str, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write_page(out, "report", "<p>One</p>\n")
    check_page(out)
    signed = out.read_text()
    out.unlink()
    match made:
        case "folder":
            out.mkdir()
        case "pipe":
            os.mkfifo(out)
        case "device":
            out = Path("/dev/null")
        case "link":
            (tmp_path / "mine").write_text(signed)
            out.symlink_to(tmp_path / "mine")
        case _:
            changed = {"text": "mine", "edited": signed.replace("One", "Two"), "appended": signed + "\n"}
            out.write_text(changed.get(made, "<p>One</p>\n"))
    before = out.read_bytes() if out.is_file() else b""
    with pytest.raises(InputError, match="--out"):
        write_page(out, "report", "<p>Two</p>\n")
    assert out.lstat() and (not before or out.read_bytes() == before)


def test_an_export_into_the_folder_one_is_in(made_run: Path, tmp_path: Path) -> None:
    made = askback("export", made_run, "--out", ".", cwd=tmp_path)
    assert made.returncode == 0 and (tmp_path / "train.parquet").is_file(), made.stderr
    (tmp_path / "notes.txt").write_text("mine")
    refused = askback("export", made_run, "--out", ".", cwd=tmp_path)
    assert refused.returncode == 3 and "notes.txt" in refused.stderr and len(refused.stderr.splitlines()) == 1
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("place", ["", "seed", "seed/deep", "new", "..", "../.."])
def test_a_run_folder_is_no_place_for_an_export(place: str, made_run: Path) -> None:
    with pytest.raises(InputError, match="--out"):
        check_out(made_run, made_run / place if place[:1] != "." else Path(os.path.normpath(made_run / place)))


def test_a_path_with_dots_lies_where_it_leads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "runs/p"
    owned.claim(run, "run")
    monkeypatch.chdir(run)
    check_out(Path(), Path("../../out"))
    assert owned.owner(Path("../../out")) is None and owned.owner(Path("../p/x")) == owned.owner(run / "x")
    with pytest.raises(InputError, match="lies in a folder of a run"):
        check_out(Path(), Path("../p/out"))
    with owned.atomic(Path("../p/x")) as temporary:
        temporary.write_text("x")
    marker = owned.owner(run / "x")
    assert marker and owns(marker, run / "x")
    (tmp_path / "far/deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far/deep")
    assert owned.absolute(tmp_path / "link/../x") == tmp_path / "far/x", "as the system takes it"
