"""Model folders are checked before anything loads, and every complaint says what to do."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from askback.errors import InputError, RecipeError
from askback.models import base_of, check_model, resolve, tokenizer_folder
from askback.models.size import parameters


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return shutil.copytree(tiny_model, tmp_path / "model")


def adapter(folder: Path, base: Path) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    (folder / "adapter_model.safetensors").write_bytes(b"")
    return folder


def test_a_whole_folder_is_taken_as_it_is(model: Path) -> None:
    assert resolve(str(model)) == model


@pytest.mark.parametrize(
    ("removed", "complaint"),
    [
        ("config.json", "has no config.json"),
        ("model.safetensors", r"no weights; expected \*.safetensors"),
        ("tokenizer.json", "has no tokenizer"),
        ("chat_template.jinja", "no chat template .*give the path of one in the recipe"),
    ],
)
def test_what_is_missing_is_named(model: Path, removed: str, complaint: str) -> None:
    (model / removed).unlink()
    with pytest.raises(InputError, match=complaint) as caught:
        resolve(str(model))
    assert str(caught.value).startswith(f"{model}: ")
    assert "\n" not in str(caught.value)


def test_pickled_weights_are_refused(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"only pickled weights \(pytorch_model.bin\), which can run code"):
        check_model(model)


def test_a_missing_shard_is_named(model: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"lacks model-00002-of-00002.safetensors"):
        check_model(model)


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_broken_json_is_named(model: Path, text: str) -> None:
    (model / "chat_template.jinja").unlink()
    (model / "tokenizer_config.json").write_text(text)
    with pytest.raises(InputError, match=r"tokenizer_config.json: (cannot be read|expected a JSON object)"):
        check_model(model)


def test_a_template_may_come_from_elsewhere(model: Path, tmp_path: Path) -> None:
    template = (model / "chat_template.jinja").rename(tmp_path / "given.jinja")
    check_model(model, str(template))
    with pytest.raises(InputError, match=r"nowhere.jinja: cannot read the chat template"):
        check_model(model, str(tmp_path / "nowhere.jinja"))
    config = json.loads((model / "tokenizer_config.json").read_text())
    (model / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": template.read_text()}))
    check_model(model)


def test_an_adapter_is_checked_with_its_base(model: Path, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "adapter", model)
    check_model(folder)
    assert base_of(folder) == model
    assert tokenizer_folder(folder) == model
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(InputError, match=r"no adapter_model.safetensors"):
        check_model(folder)
    (model / "config.json").unlink()
    with pytest.raises(InputError, match=f"{model}: has no config.json"):
        check_model(adapter(tmp_path / "other", model))


def test_an_adapter_without_a_base_is_refused(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "adapter", tmp_path)
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="names no base_model_name_or_path"):
        check_model(folder)


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "nowhere", "~/nowhere-at-all", ""])
def test_a_missing_folder_is_named(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: no such folder; give .* builtin:smollm2-135m"):
        resolve(name)


def test_unknown_builtins_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"unknown model 'builtin:smollm'.* Did you mean 'builtin:smollm2-135m'\?"):
        resolve("builtin:smollm")


def test_the_hub_out_of_reach_is_one_clear_line(tmp_path: Path) -> None:
    code = """
from askback.errors import InputError
from askback.models import resolve
try:
    resolve("no-such-owner/no-such-model")
except InputError as error:
    print(error)
"""
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    printed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert printed.stdout.startswith("no-such-owner/no-such-model: not a folder here, and it cannot be downloaded")
    assert printed.stdout.rstrip().endswith("or give a local folder.")
    assert printed.stdout.count("\n") == 1


def test_checks_import_no_torch(model: Path) -> None:
    code = f"import sys; from askback.models import resolve; resolve({str(model)!r}); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("damage", ["pointer", "cut"])
def test_weights_that_are_not_whole_are_said_in_one_line(tiny_model: Path, tmp_path: Path, damage: str) -> None:
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    weights = folder / "model.safetensors"
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123\n"
    weights.write_bytes(pointer if damage == "pointer" else weights.read_bytes()[:-1])
    for look in (check_model, parameters):
        with pytest.raises(InputError, match=r"model\.safetensors: no whole safetensors file"):
            look(folder)
