"""No code of a model folder ever runs, and nobody is asked whether it may."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from askback.errors import InputError
from askback.models import check_model
from askback.models.foreign_code import check_embedder

pytest.importorskip("transformers")

RAN = "open({path!r}, 'a').close()\n"
CLASSES = """
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
class Config(LlamaConfig):
    model_type = "own"
class Model(LlamaForCausalLM):
    pass
class Tokenizer(PreTrainedTokenizerFast):
    pass
"""
LOADS = """
import json, os, sys
from transformers import AutoTokenizer
from askback.recipe import EngineOptions
from askback.engines.local.transformers_local import TransformersLocal
from askback.errors import AskbackError
said = []
*folders, allowed = sys.argv[1:]
for folder in folders:
    os.chdir(folder)
    try:
        TransformersLocal(folder, EngineOptions(dtype="float32"))
        said.append("")
    except AskbackError as error:
        said.append(str(error))
print(json.dumps(said), flush=True)
AutoTokenizer.from_pretrained(allowed)
"""


def changed(path: Path, **values: Any) -> None:
    tree = json.loads(path.read_text("utf-8")) if path.exists() else {}
    path.write_text(json.dumps(tree | values), "utf-8")


def auto_map(prefix: str = "") -> dict[str, Any]:
    return {"AutoConfig": f"{prefix}own.Config", "AutoModelForCausalLM": f"{prefix}own.Model"}


def own_model(folder: Path) -> None:
    changed(folder / "config.json", auto_map=auto_map())


def own_architecture(folder: Path) -> None:
    changed(folder / "config.json", auto_map=auto_map(), model_type="own", architectures=["Model"])


def elsewhere(folder: Path) -> None:
    changed(folder / "config.json", auto_map=auto_map("owner/code--"), model_type="own")


def own_tokenizer(folder: Path) -> None:
    changed(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Tokenizer", "own.Tokenizer"]})


def unknown_tokenizer(folder: Path) -> None:
    name = {"tokenizer_class": "OwnTokenizer"}
    changed(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "own.Tokenizer"]}, **name)


def tokenizer_in_config(folder: Path) -> None:
    changed(folder / "config.json", auto_map={"AutoTokenizer": ["own.Tokenizer", None]}, tokenizer_class="Own")
    (folder / "tokenizer_config.json").unlink()


def own_processor(folder: Path) -> None:
    for name in ("processor_config.json", "preprocessor_config.json", "video_preprocessor_config.json"):
        changed(folder / name, auto_map={"AutoProcessor": "own.Tokenizer", "AutoImageProcessor": "own.Tokenizer"})


def own_generation(folder: Path) -> None:
    (folder / "custom_generate").mkdir()
    shutil.copy(folder / "own.py", folder / "custom_generate/generate.py")
    changed(folder / "generation_config.json", custom_generate=str(folder))


def own_kernel(folder: Path) -> None:
    changed(folder / "config.json", attn_implementation="owner/kernel:own")


def own_kernel_of_a_part(folder: Path) -> None:
    changed(folder / "config.json", text_config={"_attn_implementation": {"": "owner/kernel@main"}})


def pickle_by_name(folder: Path) -> None:
    changed(folder / "config.json", transformers_weights="adapter_model.bin")
    (folder / "adapter_model.bin").write_bytes(b"")


def modules_beside(folder: Path) -> None:
    for name in ("torch", "transformers", "json", "sitecustomize", "tokenizers", "multiprocessing"):
        shutil.copy(folder / "own.py", folder / f"{name}.py")


KINDS: dict[Callable[[Path], None], str] = {
    own_model: "",
    own_architecture: "needs code that is in the model's folder",
    elsewhere: "needs code that is in the model's folder",
    own_tokenizer: "",
    unknown_tokenizer: "needs code that is in the model's folder",
    tokenizer_in_config: "transformers cannot load this model",
    own_processor: "",
    own_generation: "",
    own_kernel: "attn_implementation names owner/kernel:own, code to be fetched",
    own_kernel_of_a_part: "names owner/kernel@main, code to be fetched",
    pickle_by_name: "expected safetensors, as pickles can run code",
    modules_beside: "",
}
"""What a folder does → what is said of it; "" where the model loads without its code."""


def with_code(model: Path, folder: Path) -> Path:
    """Copy a model folder; its module `own` leaves a file when it is imported."""
    shutil.copytree(model, folder)
    for part in ("own.py", "code/own.py"):
        (folder / part).parent.mkdir(exist_ok=True)
        (folder / part).write_text(RAN.format(path=str(folder / "ran")) + CLASSES)
    return folder


def answered(code: str, *arguments: str, cwd: Path, cache: Path) -> "subprocess.CompletedProcess[str]":
    """Run a program whose standard input says yes to everything."""
    paths = os.pathsep.join(path for path in sys.path if path)
    env = os.environ | {"HF_HOME": str(cache), "HF_HUB_OFFLINE": "1", "PYTHONPATH": paths}
    command = [sys.executable, "-P", "-c", code, *arguments]
    return subprocess.run(command, input="y\n" * 500, env=env, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def loaded(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Load a model of every kind from within its folder; return what is said of each, "" where it loads.

    One process loads them one after the other, as it takes longer to import transformers. It starts where modules lie
    beside it. In the end it loads, by transformers alone, a tokenizer whose code is allowed to run.
    """
    here = tmp_path_factory.mktemp("kinds")
    for kind in KINDS:
        kind(with_code(tiny_model, here / kind.__name__))
    unknown_tokenizer(with_code(tiny_model, here / "allowed"))
    folders = [here / kind.__name__ for kind in KINDS]
    done = answered(LOADS, *map(str, folders), str(here / "allowed"), cwd=here / modules_beside.__name__, cache=here)
    printed, _, asked = done.stdout.partition("\n")
    assert done.returncode == 0, done.stderr
    assert "[y/N]" not in printed and "[y/N]" in asked
    assert [path.parent.name for path in here.glob("*/ran")] == ["allowed"], "its code alone would run, and does"
    said: list[str] = json.loads(printed)
    return {kind.__name__: one for kind, one in zip(KINDS, said, strict=True)}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_model_loads_without_its_code_or_is_refused_in_one_line(
    loaded: dict[str, str], kind: Callable[[Path], None]
) -> None:
    said = loaded[kind.__name__]
    assert KINDS[kind] in said and bool(said) == bool(KINDS[kind]), said
    assert len(said.splitlines()) <= 1 and "trust_remote_code" not in said


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"megatron_config": {"a": 1}, "megatron_core": "own"}, "megatron_config names a module to be imported"),
        ({"peft_type": "XLORA", "adapters": {"a": "owner/name"}}, "peft_type is XLORA, expected LORA"),
        ({"peft_type": "MULTITASK_PROMPT_TUNING"}, "expected LORA"),
        ({"peft_type": 7}, "peft_type is 7"),
    ],
)
def test_an_adapter_that_names_code_is_refused(tiny_model: Path, tmp_path: Path, values: Any, said: str) -> None:
    shutil.copytree(tiny_model, tmp_path / "base")
    folder = tmp_path / "adapter"
    shutil.copytree(tiny_model, folder)
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    plain = {"base_model_name_or_path": str(tmp_path / "base"), "peft_type": "LORA", "r": 4}
    changed(folder / "adapter_config.json", **plain)
    check_model(folder)
    changed(folder / "adapter_config.json", **values)
    with pytest.raises(InputError, match=said):
        check_model(folder)


def test_the_base_of_an_adapter_is_looked_at_too(tiny_model: Path, tmp_path: Path) -> None:
    base = with_code(tiny_model, tmp_path / "base")
    own_kernel(base)
    folder = with_code(tiny_model, tmp_path / "adapter")
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    changed(folder / "adapter_config.json", base_model_name_or_path=str(base), peft_type="LORA", r=4)
    with pytest.raises(InputError, match="names owner/kernel:own"):
        check_model(folder)


@pytest.mark.parametrize("kind", ["own.Module", "", None, 3, "os.path", "sentence_transformer.models.Pooling"])
def test_an_embedder_with_a_module_of_its_own_is_refused(tmp_path: Path, kind: Any) -> None:
    known = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    (tmp_path / "modules.json").write_text(json.dumps([known]))
    check_embedder(tmp_path)
    (tmp_path / "modules.json").write_text(json.dumps([known, known | {"type": kind}]))
    with pytest.raises(InputError, match="a module of the folder's own, which is never run"):
        check_embedder(tmp_path)


def test_an_embedder_of_pickles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("[]")
    (tmp_path / "1_Dense").mkdir()
    (tmp_path / "1_Dense/pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InputError, match="pickled weights, which can run code"):
        check_embedder(tmp_path)
    (tmp_path / "1_Dense/model.safetensors").write_bytes(b"")
    check_embedder(tmp_path)


STARTS = """
from pathlib import Path
from askback.execution.processes import Drain, run_pieces
def work(worker, piece): return len(piece)
if __name__ == "__main__":
    with Drain(print) as drain:
        print(list(run_pieces(work, ["abc"], 1, Path("log"), drain, lambda *_: None)))
"""


def test_a_worker_imports_nothing_from_the_working_directory(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for name in ("multiprocessing", "pickle", "json", "runpy", "signal", "torch", "own"):
        (here / f"{name}.py").write_text(RAN.format(path=str(here / "ran")))
    (tmp_path / "starts.py").write_text(STARTS)
    code = f"import runpy; runpy.run_path({str(tmp_path / 'starts.py')!r}, run_name='__main__')"
    done = answered(code, cwd=here, cache=tmp_path / "cache")
    assert "[3]" in done.stdout, done.stderr
    assert not (here / "ran").exists()


def test_every_loading_call_says_that_no_code_is_trusted() -> None:
    """The switch stands at each call of the package, and nothing that unpickles is called at all."""
    import ast

    source = Path(__file__).parents[1] / "src/askback"
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            if name.endswith(".from_pretrained") and not name.startswith("PeftModel"):
                given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert given.get("trust_remote_code") == "False", f"{path}:{node.lineno}"
            assert name not in ("torch.load", "pickle.load", "pickle.loads", "eval", "exec"), f"{path}:{node.lineno}"
            assert all(keyword.arg != "allow_pickle" for keyword in node.keywords), f"{path}:{node.lineno}"
