import hashlib
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from askback.errors import EmptyStep, InputError, Interrupted, MissingExtra
from askback.execution.processes import _start_method
from askback.execution.shards import rejections
from askback.recipe import Lora, Training
from askback.records import exchange
from askback.train import Job, checkpoints, finetune
from askback.train.rounding import write_bfloat16
from tests.train.examples import example, examples

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

KINDS = {
    "float32": Training(
        steps=10, batch_size=6, learning_rate=1e-3, trl={"bf16": False, "per_device_train_batch_size": 3}
    ),
    "bfloat16": Training(steps=10, batch_size=6, learning_rate=1e-3, trl={"bf16": True}),
    "lora": Training(steps=10, batch_size=6, learning_rate=1e-3, lora=Lora(rank=4, alpha=8, dropout=0.2)),
    "dropout": Training(steps=10, batch_size=6, learning_rate=1e-3, dropout=0.2),
}


def job_of(base: Path, folder: Path, **changes: Any) -> Job:
    job = Job(str(base), "", "forward", KINDS["float32"], examples(16), str(folder), random_seed=7)
    return replace(job, **changes)


def ignore(_: int, __: int) -> None:
    return None


def sha256(folder: Path) -> str:
    return hashlib.sha256((folder / "model/model.safetensors").read_bytes()).hexdigest()


def contents(folder: Path) -> dict[str, bytes]:
    """Both forms of a model, file by file; the draws of the rounding are of the folder's name, which is the step's."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("model*/*")}


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """The lines of metrics, without the time they took."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def stopping_after(steps: int) -> Any:
    done = 0

    def report(more: int, _: int) -> None:
        nonlocal done
        done += more
        if done >= steps:
            raise Interrupted("stopped by the test")

    return report


@pytest.fixture(scope="module")
def straight(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `job_of` done at once."""
    folder = tmp_path_factory.mktemp("straight") / "m0"
    finetune(job_of(tiny_model, folder), ignore)
    return folder


def test_a_job_leaves_a_model_that_engines_load(
    tiny_model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    told: list[tuple[int, int]] = []
    template = tmp_path / "template.jinja"
    template.write_text((tiny_model / "chat_template.jinja").read_text("utf-8") + "{# of the recipe #}", "utf-8")
    job = job_of(tiny_model, tmp_path / "m0", chat_template=str(template))
    metrics = finetune(job, lambda steps, tokens: told.append((steps, tokens)))
    assert capfd.readouterr() == ("", "")

    folder = tmp_path / "m0"
    assert sorted(path.name for path in folder.iterdir()) == [
        *(".askback.jsonl", "metrics.jsonl", "model", "model-bfloat16", "rejected-00000.parquet", "result.json")
    ]
    for name, dtype in (("model", torch.float32), ("model-bfloat16", torch.bfloat16)):
        model, report = AutoModelForCausalLM.from_pretrained(folder / name, output_loading_info=True)
        assert not any(report.values())
        assert model.dtype == dtype
        assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()  # tied, and rounded once
        assert AutoTokenizer.from_pretrained(folder / name).chat_template == template.read_text("utf-8")
    places = (tiny_model, folder / "model", folder / "model-bfloat16")
    configs = [json.loads((place / "config.json").read_text("utf-8")) for place in places]
    assert configs[0] == configs[1] == configs[2] | {"dtype": "float32"}
    assert configs[2]["dtype"] == "bfloat16"

    lines = lines_of(folder)
    assert [line["step"] for line in lines] == list(range(1, 11))
    assert told == [(1, line["tokens"]) for line in lines]
    assert metrics["steps"] == 10
    assert metrics["examples"] == 16
    assert metrics["epochs"] == 5.625, "three augmented rows come on top of each batch"
    assert metrics["tokens"] == sum(line["tokens"] for line in lines)
    assert 0 < metrics["label_tokens"] < metrics["tokens"]
    assert metrics["first_loss"] == lines[0]["loss"]
    assert metrics["final_loss"] == lines[-1]["loss"] < metrics["first_loss"]
    assert metrics["seconds"] > 0
    assert metrics["truncated"] == metrics["left_out"] == 0


def test_it_works_with_a_template_without_a_system_role(tiny_model_no_system: Path, tmp_path: Path) -> None:
    for direction in ("backward", "forward"):
        metrics = finetune(job_of(tiny_model_no_system, tmp_path / direction, direction=direction), ignore)
        assert metrics["final_loss"] < metrics["first_loss"]


def test_cut_and_left_out_examples_are_counted(tiny_model: Path, tmp_path: Path) -> None:
    taught = [example(1), example(2, words=400), replace(example(3), messages=exchange("Why? " * 300, "So."))]
    options = Training(steps=2, max_tokens=150)
    metrics = finetune(job_of(tiny_model, tmp_path, examples=taught, options=options), ignore)
    assert (metrics["examples"], metrics["truncated"], metrics["left_out"]) == (2, 1, 1)
    (dropped,) = rejections(tmp_path)
    assert (dropped.id, dropped.stage, dropped.rule) == (taught[2].id, "examples", "over-max-tokens")


def test_lora_is_merged_into_a_full_checkpoint(tiny_model: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    finetune(job_of(tiny_model, tmp_path, options=KINDS["lora"]), ignore)
    base, tuned = load_file(tiny_model / "model.safetensors"), load_file(tmp_path / "model/model.safetensors")
    assert base.keys() == tuned.keys()
    changed = {name for name in base if not torch.equal(base[name], tuned[name])}
    assert changed == {name for name in base if "proj" in name}
    assert not (tmp_path / "model/adapter_config.json").exists()


def test_an_adapter_on_a_quantised_base_is_merged_into_the_base_as_it_was(tiny_model: Path, tmp_path: Path) -> None:
    """Stopped and resumed, as that reads the adapter back upon a base that is quantised anew."""
    pytest.importorskip("bitsandbytes")
    from safetensors.torch import load_file

    lora = Lora(rank=4, alpha=8, quantised="nf4")
    job = job_of(tiny_model, tmp_path, options=KINDS["lora"].model_copy(update={"lora": lora}))
    with pytest.raises(Interrupted):
        finetune(job, stopping_after(4))
    metrics = finetune(job, ignore)
    assert metrics["final_loss"] < metrics["first_loss"]
    base, tuned = load_file(tiny_model / "model.safetensors"), load_file(tmp_path / "model/model.safetensors")
    assert {weight.dtype for weight in tuned.values()} == {torch.float32}
    for name, weight in base.items():
        difference = tuned[name] - weight
        if "proj" in name:  # rounding to 4 bits would show as a difference of full rank
            assert torch.linalg.matrix_rank(difference, rtol=1e-4) == 4
        else:
            assert not difference.any()
    configs = [json.loads((place / "config.json").read_text("utf-8")) for place in (tiny_model, tmp_path / "model")]
    assert configs[0] == configs[1]


def test_a_device_map_gives_the_same_model(tiny_model: Path, tmp_path: Path) -> None:
    for name, device_map in (("one", None), ("auto", "auto")):
        options = KINDS["lora"].model_copy(update={"steps": 2})
        finetune(job_of(tiny_model, tmp_path / name, options=options, device_map=device_map), ignore)
    assert sha256(tmp_path / "one") == sha256(tmp_path / "auto")


def test_a_missing_quantiser_is_named(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("askback.train.trainer.find_spec", lambda _: None)
    options = Training(lora=Lora(quantised="nf4"))
    with pytest.raises(MissingExtra, match=r"bitsandbytes.*askback\[quantised\]"):
        finetune(job_of(tiny_model, tmp_path, options=options), ignore)


def train_seven_steps(job: Job, done: Any) -> None:
    """In a process of its own: train, tell of each step, and wait after the seventh."""
    torch.set_num_threads(1)
    checkpoints.SAVING_SHARE = 0
    steps = 0

    def report(more: int, _: int) -> None:
        nonlocal steps
        steps += more
        done.send(steps)
        if steps == 7:
            time.sleep(600)

    finetune(job, report)


@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_resumed_is_as_never_killed(libraries: None, tiny_model: Path, tmp_path: Path, kind: str) -> None:
    """kill -9 after the seventh step; the sixth step's checkpoint is the last that is whole."""
    straight = job_of(tiny_model, tmp_path / "straight/m0", options=KINDS[kind])
    finetune(straight, ignore)

    job = replace(straight, folder=str(tmp_path / "killed/m0"), checkpoint_seconds=0.0)
    context: Any = get_context(_start_method("askback.train.preload"))
    done, theirs = context.Pipe(duplex=False)
    child = context.Process(target=train_seven_steps, args=(job, theirs))
    child.start()
    theirs.close()
    while done.recv() != 7:
        pass
    child.kill()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert (tmp_path / "killed/m0/checkpoints/checkpoint-6/sealed").is_file()
    assert not (tmp_path / "killed/m0/model").exists()

    told: list[tuple[int, int]] = []
    finetune(job, lambda steps, tokens: told.append((steps, tokens)))
    assert told[0] == (6, 0)
    assert len(told) == 5
    assert contents(tmp_path / "killed/m0") == contents(tmp_path / "straight/m0")
    assert lines_of(tmp_path / "killed/m0") == lines_of(tmp_path / "straight/m0")
    assert not (tmp_path / "killed/m0/checkpoints").exists()


@pytest.mark.parametrize("written", ["nothing", "half", "all"])
def test_a_kill_while_the_bfloat16_form_is_written_leaves_none_of_it(
    straight: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    from askback.train import finetune as module

    def killed(checkpoint: Path, target: Path, random_seed: int, step: str) -> None:
        if written != "nothing":
            write_bfloat16(checkpoint, target, random_seed, step)
        if written == "half":
            os.truncate(target / "model.safetensors", 1000)
        raise KeyboardInterrupt

    job = job_of(tiny_model, tmp_path / "killed/m0")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(sys.modules[module.__module__], "write_bfloat16", killed)
        finetune(job, ignore)
    assert not (tmp_path / "killed/m0/model-bfloat16").exists()
    finetune(job, ignore)
    assert contents(tmp_path / "killed/m0") == contents(straight)
    assert not list((tmp_path / "killed/m0").glob("*.tmp"))
    shutil.rmtree(tmp_path / "killed/m0/model-bfloat16")
    finetune(job, ignore)  # a job is finished with both forms alone
    assert contents(tmp_path / "killed/m0") == contents(straight)


@pytest.mark.parametrize("step", [3, 10])
def test_an_interrupted_job_saves_first(straight: Path, tiny_model: Path, tmp_path: Path, step: int) -> None:
    stopped = job_of(tiny_model, tmp_path / "stopped")
    with pytest.raises(Interrupted, match="stopped by the test"):
        finetune(stopped, stopping_after(step))
    assert not (tmp_path / "stopped/model").exists()
    told: list[tuple[int, int]] = []
    metrics = finetune(stopped, lambda steps, tokens: told.append((steps, tokens)))
    assert [steps for steps, _ in told] == [step] + [1] * (10 - step)
    assert sha256(tmp_path / "stopped") == sha256(straight)
    assert metrics["first_loss"] == lines_of(straight)[0]["loss"]


def test_a_half_written_checkpoint_is_passed_over(straight: Path, tiny_model: Path, tmp_path: Path) -> None:
    job = job_of(tiny_model, tmp_path / "job")
    with pytest.raises(Interrupted):
        finetune(job, stopping_after(4))
    broken = tmp_path / "job/checkpoints/checkpoint-5"
    shutil.copytree(tmp_path / "job/checkpoints/checkpoint-4", broken)
    (broken / "sealed").unlink()
    (broken / "model.safetensors").write_bytes(b"half")
    (tmp_path / "job/metrics.jsonl").open("a").write('{"step": 5, "lo')
    told: list[tuple[int, int]] = []
    finetune(job, lambda steps, tokens: told.append((steps, tokens)))
    assert told[0] == (4, 0)
    assert sha256(tmp_path / "job") == sha256(straight)
    assert lines_of(tmp_path / "job") == lines_of(straight)


def test_nothing_of_another_job_is_taken_up(tiny_model: Path, tmp_path: Path) -> None:
    first, other = job_of(tiny_model, tmp_path / "one"), job_of(tiny_model, tmp_path / "one", random_seed=8)
    with pytest.raises(Interrupted):
        finetune(first, stopping_after(4))
    told: list[tuple[int, int]] = []
    finetune(other, lambda steps, tokens: told.append((steps, tokens)))
    assert len(told) == 10
    finetune(replace(other, folder=str(tmp_path / "two")), ignore)
    assert sha256(tmp_path / "one") == sha256(tmp_path / "two")


def test_a_finished_job_is_not_done_again(tiny_model: Path, tmp_path: Path) -> None:
    job = job_of(tiny_model, tmp_path)
    metrics = finetune(job, ignore)
    weights = tmp_path / "model/model.safetensors"
    written = weights.stat().st_mtime_ns
    assert finetune(job, stopping_after(1)) == metrics
    assert weights.stat().st_mtime_ns == written
    with pytest.raises(Interrupted):
        finetune(replace(job, random_seed=1), stopping_after(1))


def test_a_loss_that_is_not_a_number_stops_the_training(tiny_model: Path, tmp_path: Path) -> None:
    options = Training(steps=8, learning_rate=1e30, trl={"bf16": False})
    with pytest.raises(InputError, match=r"training loss is (nan|inf) at step \d.*lower learning_rate"):
        finetune(job_of(tiny_model, tmp_path, options=options), ignore)
    assert not (tmp_path / "model").exists()


def test_held_out_examples_are_never_trained_on(tiny_model: Path, tmp_path: Path) -> None:
    taught = [*examples(3), example(9, split="held-out")]
    with pytest.raises(AssertionError, match="held-out"):
        finetune(job_of(tiny_model, tmp_path, examples=taught), ignore)


@pytest.mark.parametrize("count", [0, 2])
def test_nothing_to_learn_is_said(tiny_model: Path, tmp_path: Path, count: int) -> None:
    taught = [replace(one, messages=exchange("Why? " * 300, "So.")) for one in examples(count)]
    options = Training(max_tokens=100)
    with pytest.raises(EmptyStep, match=f"none of {count} examples.*raise max_tokens"):
        finetune(job_of(tiny_model, tmp_path, examples=taught, options=options), ignore)


def test_a_base_without_a_chat_template_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    base = shutil.copytree(tiny_model, tmp_path / "base")
    (base / "chat_template.jinja").unlink()
    with pytest.raises(InputError, match="chat_template:"):
        finetune(job_of(base, tmp_path / "m0"), ignore)
