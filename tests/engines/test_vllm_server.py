"""A server of our own is ready before it is used, and gone with us; and a real vLLM (make test-vllm) agrees with us."""

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from askback import prompts
from askback.augment.write import write_instructions
from askback.engines.http.capabilities import SERVED
from askback.engines.http.openai_http import OpenAIHttp
from askback.engines.local.transformers_local import TransformersLocal
from askback.engines.protocol import Sampling
from askback.engines.vllm.vllm_server import KEY_VARIABLE, Server, Serving, command_line, connected
from askback.errors import InputError
from askback.execution.identity import Model
from askback.execution.run import Run
from askback.execution.shards import rejections
from askback.methods.humpback import make_corpus
from askback.prompts.prompt import ask
from askback.recipe import EngineOptions, Engines, RecipeFile, Resources
from askback.records import Candidate, Rejection
from tests.engines.order import Scores, assert_alike, scores
from tests.untrained import write_recipe

FAKE = (sys.executable, str(Path(__file__).with_name("fake_vllm.py")))


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model, tmp_path / "model")


def fake(*arguments: str, ready_s: float = 30) -> EngineOptions:
    return EngineOptions(kind="vllm_server", command=FAKE, arguments=arguments, ready_s=ready_s)


def gone(model: Path) -> bool:
    """Tell whether the server and its child end within seconds."""
    pids = [int(pid) for pid in (model / "pids").read_text().split()]
    for _ in range(50):
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.1)
    return False


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_it_is_ready_and_ends_whole_when_closed(model: Path, tmp_path: Path) -> None:
    server = Server(model, fake(), tmp_path / "log", lambda _: None)
    assert all(alive(int(pid)) for pid in (model / "pids").read_text().split())
    server.close()
    assert gone(model)


def test_a_judge_of_two_answers_may_run_in_it(model: Path, tmp_path: Path) -> None:
    serving, resources = Serving(), Resources(engines=Engines(compare=fake()))
    inputs = {"model": Model(model, "judge", "j"), "prompts": None, "answers": None, "baseline": None}
    assert serving.ready("compare", inputs, resources, tmp_path / "log", print).engine.url.startswith(
        "http://127.0.0.1:"
    )
    serving.close()
    assert gone(model)


def test_steps_of_one_model_share_it_and_a_training_ends_it(model: Path, tmp_path: Path) -> None:
    serving, resources = Serving(), Resources(engine=fake())
    handle = Model(model, "m0", "m0")
    urls = [serving.ready("score", {"model": handle}, resources, tmp_path / "log", print).engine.url for _ in range(2)]
    assert urls[0] == urls[1] != ""
    assert alive(int((model / "pids").read_text().split()[0]))
    assert serving.ready("", {}, resources, tmp_path / "log", print).engine.url == ""
    assert gone(model)


def test_it_is_laid_out_over_the_cards_that_there_are_and_that_is_told(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_cards(tmp_path, monkeypatch)
    serving, resources, said = Serving(), Resources(engine=fake("--max-num-seqs", "300"), workers=2), list[str]()
    engine = serving.ready("score", {"model": Model(model, "m", "m")}, resources, tmp_path / "log", said.append).engine
    arguments = serving.chosen["vllm_arguments"]
    serving.close()
    assert arguments[-4:] == ["--tensor-parallel-size", "1", "--data-parallel-size", "2"]
    assert " ".join(arguments) in said[0] and "\n".join(arguments) in (model / "arguments").read_text()
    assert engine.concurrency == 300, "two copies, asked by two workers"
    assert serving.chosen == {}


def test_a_step_keeps_what_was_chosen(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two_cards(tmp_path, monkeypatch)
    tree = write_recipe(tmp_path / "in", model, pages=2).as_written()
    served = (sys.executable, str(Path(__file__).with_name("served_vllm.py")))
    tree["resources"] |= {"engine": {"kind": "vllm_server", "command": served}, "runs": str(tmp_path)}
    file = RecipeFile.model_validate(tree)
    with Run(file) as run:
        segments = make_corpus(file.recipe, run)
        written = run.step("augment", write_instructions, file.recipe.augment, model=run.base(), segments=segments)
    assert "vllm_arguments" not in json.loads((segments.folder / "step.json").read_bytes())
    chosen = json.loads((written.folder / "step.json").read_bytes())["vllm_arguments"]
    assert chosen[:2] == ["--max-num-seqs", "1024"] and chosen[-2:] == ["--data-parallel-size", "2"]


def two_cards(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program in the path that lists two cards."""
    program = folder / "nvidia-smi"
    program.write_text("#!/bin/sh\nfor card in 0 1; do echo $card, GPU-$card, 81559; done\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(("how", "said"), [("broken", "no room on the device"), ("slow", "not ready within 1 s")])
def test_a_server_that_does_not_come_up_is_told_with_the_end_of_its_log(
    model: Path, tmp_path: Path, how: str, said: str
) -> None:
    with pytest.raises(InputError, match=said) as found:
        Server(model, fake(how, ready_s=1 if how == "slow" else 30), tmp_path / "log", lambda _: None)
    assert "the key is ***" in str(found.value)
    assert how == "broken" or gone(model)


def test_a_command_that_is_not_there_is_told(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no 'no-such-vllm' here"):
        Server(model, EngineOptions(kind="vllm_server", command=("no-such-vllm",)), tmp_path / "log", print)


def test_it_dies_with_us_however_we_die(model: Path, tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from askback.recipe import EngineOptions\n"
        "from askback.engines.vllm.vllm_server import Server\n"
        f"options = EngineOptions(kind='vllm_server', command={FAKE!r})\n"
        "server = Server(Path(sys.argv[1]), options, Path(sys.argv[2]), print); print('up', flush=True); time.sleep(1000)"
    )
    command = [sys.executable, "-c", code, str(model), str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        os.kill(process.pid, signal.SIGKILL)
    assert gone(model)


def test_the_command_line_takes_a_checkpoint_or_an_adapter_with_its_base(model: Path, tmp_path: Path) -> None:
    plain = command_line(model, EngineOptions(kind="vllm_server", arguments=("--quantization", "fp8")), 1234)
    assert plain[:3] == ["vllm", "serve", str(model)]
    assert plain[-2:] == ["--quantization", "fp8"]
    placed = command_line(model, EngineOptions(kind="vllm_server", command=("py", "--model", "{model}")), 1234)
    assert placed[:4] == ["py", "--model", str(model), "--host"]
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(f'{{"base_model_name_or_path": "{model}", "r": 12}}')
    (adapter / "adapter_model.safetensors").touch()
    lora = command_line(adapter, EngineOptions(kind="vllm_server"), 1234)
    assert lora[2] == str(model)
    assert lora[lora.index("--max-lora-rank") + 1] == "16"
    assert f"askback={adapter}" in lora


# --- with a real vLLM ---------------------------------------------------------------------------------------------

PAIRS = [
    ("What is the capital of France?", "Paris is the capital of France."),
    ("Name three colours.", "Red, green and blue."),
    ("Why is the sky blue?", "Buy our blue paint today! Only 12.99."),
    ("How do I boil an egg?", "Put it into boiling water for eight minutes, then cool it under the tap."),
    ("Who wrote Hamlet?", "I like turtles."),
    ("Explain photosynthesis.", "Plants turn light, water and carbon dioxide into sugar and oxygen."),
]
ASKED = [ask(question) for question, _ in PAIRS]
LEVELS = [f" {level}" for level in range(1, 6)]


@pytest.fixture(scope="module")
def vllm_options() -> EngineOptions:
    python = os.environ.get("ASKBACK_VLLM", "")
    if not python:
        pytest.skip("ASKBACK_VLLM names no Python that has vLLM; run make test-vllm")
    command = (python, "-m", "vllm.entrypoints.openai.api_server", "--model", "{model}")
    arguments = ("--enforce-eager", "--max-model-len", "2048", "--max-num-seqs", "16")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "2")
    return EngineOptions(kind="vllm_server", dtype="float32", command=command, arguments=arguments, ready_s=300)


@pytest.mark.vllm
@pytest.mark.timeout(1200)
def test_two_workers_of_ray_have_a_vllm_each(
    vllm_options: EngineOptions, builtin_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes out is what one server gives, but for draws that another batch changes; test_ray.py kills one."""
    pytest.importorskip("ray")
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    tree = write_recipe(tmp_path / "in", builtin_model, pages=24).as_written()
    tree["recipe"]["augment"] = {"max_new_tokens": 8}
    arguments = (*vllm_options.arguments, "--no-enable-chunked-prefill")
    engine = vllm_options.model_dump() | {"arguments": arguments}
    tree["resources"] |= {"engine": engine, "runs": str(tmp_path / "one")}

    def made(**resources: object) -> list[Candidate | Rejection]:
        file = RecipeFile.model_validate({**tree, "resources": tree["resources"] | resources})
        with Run(file) as run:
            segments = make_corpus(file.recipe, run)
            written = run.step("augment", write_instructions, file.recipe.augment, model=run.base(), segments=segments)
            return sorted([*written, *rejections(written.folder)], key=lambda record: record.id)

    one = made()
    two = made(executor="ray", workers=2, runs=str(tmp_path / "two"))
    assert len(list((tmp_path / "two/made/augment").glob("server-*.log"))) == 2
    assert [record.id for record in two] == [record.id for record in one] and len(one) > 100
    same = sum(record == other for record, other in zip(one, two, strict=True))
    print(f"{same} of {len(one)} records are the same")  # noqa: T201


@pytest.fixture(scope="module")
def vllm(
    vllm_options: EngineOptions, builtin_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpenAIHttp]:
    log = tmp_path_factory.mktemp("vllm") / "server.log"
    server = Server(builtin_model, vllm_options, log, lambda _: None)
    yield OpenAIHttp("", connected(vllm_options, server))
    server.close()
    assert os.environ[KEY_VARIABLE] not in log.read_text("utf-8", "replace")


@pytest.fixture(scope="module")
def local(builtin_model: Path) -> TransformersLocal:
    return TransformersLocal(str(builtin_model), EngineOptions(dtype="float32"))


@pytest.mark.vllm
def test_greedy_answers_of_vllm_are_ours(vllm: OpenAIHttp, local: TransformersLocal) -> None:
    """In float32 on both sides. A near tie may fall the other way after some tokens, so one of six may differ."""
    assert vllm.calls == SERVED
    greedy = Sampling(0, 1, 24)
    ours, theirs = local.generate(ASKED, greedy, [0] * 6), vllm.generate(ASKED, greedy, [0] * 6)
    assert sum(one.text == other.text for one, other in zip(ours, theirs, strict=True)) >= 5
    assert [one.finished for one in ours] == [one.finished for one in theirs]


@pytest.mark.vllm
def test_ratings_and_losses_of_vllm_are_ours(vllm: OpenAIHttp, local: TransformersLocal) -> None:
    """Float32 sums in another order: to 0.01 nats a choice and 0.002 nats a token."""
    judged = [prompts.rubric(*pair) for pair in PAIRS]
    for ours, theirs in zip(local.choose(judged, LEVELS), vllm.choose(judged, LEVELS), strict=True):
        assert theirs == pytest.approx(ours, abs=0.01)
    texts = [answer for _, answer in PAIRS]
    for one, other in zip(local.loglikelihood(ASKED, texts), vllm.loglikelihood(ASKED, texts), strict=True):
        assert other.tokens == one.tokens
        assert abs(other.logprob - one.logprob) / one.tokens < 0.002


@pytest.mark.vllm
def test_vllm_draws_by_seed(vllm: OpenAIHttp) -> None:
    drawn = Sampling(1.0, 0.95, 12)
    first = vllm.generate(ASKED, drawn, range(6))
    assert [one.text for one in vllm.generate(ASKED, drawn, range(100, 106))] != [one.text for one in first]
    assert all(one.text and math.isfinite(one.tokens) for one in first)


MANY = [
    ask(
        "The river carried paper boats past the old stone bridge. " * 12 + f"What is the number? It is {number}.",
        "Score:",
    )
    for number in range(64)
]
"""Their common beginning is longer than a block of the cache of prefixes, 128 tokens on a CPU."""


@pytest.mark.vllm
@pytest.mark.timeout(1500)  # five minutes on two idle cores
def test_scores_of_vllm_do_not_depend_on_who_asks_with_whom(
    vllm: OpenAIHttp, vllm_options: EngineOptions, builtin_model: Path, tmp_path: Path
) -> None:
    """With prefix caching on, as it is by default: two orders, two numbers of requests at once, and after a restart."""

    def measured(url: EngineOptions, at_once: int, seed: int) -> Scores:
        order = random.Random(seed).sample(range(len(MANY)), len(MANY))
        return scores(OpenAIHttp("", url.model_copy(update={"concurrency": at_once})), MANY, order)

    first = measured(vllm._options, 1, 0)
    assert_alike(first, measured(vllm._options, 16, 1), "float32")
    server = Server(builtin_model, vllm_options, tmp_path / "log", lambda _: None)
    try:
        assert_alike(first, measured(connected(vllm_options, server), 16, 2), "float32")
    finally:
        server.close()


@pytest.mark.vllm
def test_vllm_serves_an_adapter(vllm_options: EngineOptions, builtin_model: Path, tmp_path: Path) -> None:
    """A LoRA adapter with weights that matter changes what vLLM says as it changes what we say."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    peft = get_peft_model(
        AutoModelForCausalLM.from_pretrained(builtin_model),
        LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj"], init_lora_weights=False),
    )
    peft.save_pretrained(tmp_path / "adapter")
    prompt = [ask("The river carried paper boats.", "Score:")]
    server = Server(tmp_path / "adapter", vllm_options, tmp_path / "log", lambda _: None)
    try:
        engine = OpenAIHttp("", connected(vllm_options, server))
        theirs = engine.choose(prompt, LEVELS)[0]
    finally:
        server.close()
    float32 = EngineOptions(dtype="float32")
    adapted = TransformersLocal(str(tmp_path / "adapter"), float32).choose(prompt, LEVELS)[0]
    bare = TransformersLocal(str(builtin_model), float32).choose(prompt, LEVELS)[0]
    assert theirs == pytest.approx(adapted, abs=0.02)
    assert max(abs(one - other) for one, other in zip(adapted, bare, strict=True)) > 0.1
