"""`pip install askback` is light: nothing heavy is imported until it is used, and rooms are imported one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src/askback"
HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "ray", "pyarrow", "pydantic", "selectolax")


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_help_imports_nothing_heavy() -> None:
    shown = "import contextlib, io; out = io.StringIO(); from askback.cli import app"
    called = "exec('with contextlib.redirect_stdout(out): app([\"--help\"], standalone_mode=False)')"
    assert not modules_after(f"{shown}; {called}; assert 'Exit codes' in out.getvalue()") & set(HEAVY)


def test_planning_imports_no_torch() -> None:
    found = modules_after("from askback import Recipe, Run, backtranslate, export, load_recipe; import askback.plan")
    assert not found & {"torch", "transformers", "trl", "peft", "datasets"}


def test_everything_imports_without_torch() -> None:
    """A finder that refuses the extras stands in for an environment without them."""
    names = sorted(
        ".".join(("askback", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
        for path in SOURCE.rglob("*.py")
        if path.name != "__main__.py"
    )
    code = f"""
import importlib, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {("torch", "transformers", "trl", "peft", "datasets", "accelerate", "gguf")!r}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
for name in {names!r}:
    importlib.import_module(name)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_rooms_are_imported_one_way(path: Path) -> None:
    """corpus, seed, train, augment, curate, evaluate know engines and execution, and not each other; report is a leaf."""
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    rooms = {"corpus", "seed", "train", "augment", "curate", "evaluate"}
    imported = {
        node.module.split(".")[1]
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("askback.")
    }
    if room in rooms:
        assert not imported & (rooms - {room}), f"{path.name} reaches into another room"
    if room not in ("cli", "report", "export", "plan"):
        assert "report" not in imported
    if room in ("records", "errors", "lookup", "config"):
        assert imported <= {"records", "errors", "lookup", "config"}
