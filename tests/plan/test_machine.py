"""What is assumed of a card and a model: within a factor of two of the arithmetic that the work takes."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from askback.engines.usage import Tokens
from askback.errors import InputError
from askback.models.size import parameters
from askback.plan import Plan
from askback.plan.card_rates import measured_rates
from askback.plan.machine import CARDS, CPU, card_of, cards_asking, cards_of_server, does_not_fit, found_here, prior
from askback.plan.rates import rates_for
from askback.recipe import Launch, Lora, Resources, Training
from askback.recipe.file import load_recipe
from askback.recipe.resources import Resources as ResourcesOptions
from askback.train.forecast import gigabytes
from tests.tiny import build_tokenizer

LLAMA = {"hidden_size": 4096, "num_hidden_layers": 32, "intermediate_size": 11008, "vocab_size": 32000}
KINDS: dict[str, tuple[dict[str, Any], float]] = {
    "llama-2-7b": ({**LLAMA, "num_attention_heads": 32}, 6.738e9),
    "llama-2-13b": (
        {**LLAMA, "hidden_size": 5120, "num_hidden_layers": 40, "intermediate_size": 13824, "num_attention_heads": 40},
        13.016e9,
    ),
    "llama-2-70b": (
        {
            **LLAMA,
            "hidden_size": 8192,
            "num_hidden_layers": 80,
            "intermediate_size": 28672,
            "num_attention_heads": 64,
            "num_key_value_heads": 8,
        },
        68.977e9,
    ),
    "mistral-7b": (
        {**LLAMA, "intermediate_size": 14336, "num_attention_heads": 32, "num_key_value_heads": 8},
        7.242e9,
    ),
    "qwen-0.5b": (
        {
            "hidden_size": 896,
            "num_hidden_layers": 24,
            "intermediate_size": 4864,
            "vocab_size": 151936,
            "num_attention_heads": 14,
            "num_key_value_heads": 2,
            "tie_word_embeddings": True,
        },
        0.494e9,
    ),
}


def model_folder(folder: Path, config: dict[str, Any], tokenizer: bool = False) -> Path:
    """Write the configuration of a model, and weights of which there is nothing but a number."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    header = json.dumps({"stub": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(4))
    if tokenizer:
        build_tokenizer().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_follow_from_the_configuration(kind: str, tmp_path: Path) -> None:
    config, expected = KINDS[kind]
    assert parameters(model_folder(tmp_path / "a", config)) == pytest.approx(expected, rel=0.01)
    inside = model_folder(tmp_path / "b", {"text_config": config})
    assert parameters(inside) == pytest.approx(expected, rel=0.01)
    (inside / "model.safetensors").unlink()
    assert parameters(inside) == pytest.approx(expected, rel=0.01)


def test_headers_count_where_they_say_more_than_a_configuration(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "m", {})
    header = json.dumps({"w": {"dtype": "F32", "shape": [3, 1000], "data_offsets": [0, 12000]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(12000))
    assert parameters(folder) == 3000
    (folder / "config.json").write_text("no JSON")
    assert parameters(folder) == 3000


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("meta-llama/Llama-2-7b-hf", 7e9),
        ("Qwen/Qwen2.5-0.5B-Instruct", 0.5e9),
        ("HuggingFaceTB/SmolLM2-360M", 360e6),
        ("builtin:smollm2-135m", 135e6),
        ("EleutherAI/pythia-1.4b", 1.4e9),
        ("owner/model", 0),
        ("owner/v2-base", 0),
        ("owner/4bit", 0),
    ],
)
def test_a_model_that_is_not_here_is_known_by_its_name(name: str, expected: float) -> None:
    assert parameters(None, name) == expected


@pytest.mark.parametrize("card", CARDS)
def test_rates_are_two_and_six_operations_a_parameter_at_a_share_of_the_peak(card: str) -> None:
    rates, said = prior(7_000_000_000, ResourcesOptions.model_validate({"device": card}))
    reached = 0.4 * CARDS[card].tflops * 1e12
    assert rates.prompt * 2 * 7e9 == pytest.approx(reached) and rates.train * 6 * 7e9 == pytest.approx(reached)
    assert card in said and "7 billion" in said and "40%" in said
    given = {"device": card, "training": {"processes": 4}, "executor": "ray", "workers": 8}
    several = ResourcesOptions.model_validate(given)
    assert prior(7_000_000_000, several)[0].train == pytest.approx(4 * rates.train)
    assert cards_asking(several, "augment") == 8
    assert cards_asking(ResourcesOptions.model_validate(given | {"gpus_per_worker": 0.5}), "augment") == 4
    alone = ResourcesOptions.model_validate({"device": card})
    one, eight = (
        rates_for(Path(), options, {"augment": "augment"}, size=7_000_000_000) for options in (alone, several)
    )
    work = Tokens(10_000_000, 1_000_000)
    assert one.seconds("augment", work) - one.startup == pytest.approx(
        8 * (eight.seconds("augment", work) - one.startup)
    )
    assert str(eight).endswith("8 to ask, 4 to train")


def test_on_a_cpu_a_larger_model_is_slower_by_its_size() -> None:
    on_cpu = Resources(device="cpu")
    small, said = prior(134_515_008, on_cpu)
    assert small == CPU and "135M" in said
    assert prior(1_345_150_080, on_cpu)[0].train == pytest.approx(CPU.train / 10)
    assert prior(0, on_cpu)[0] == CPU


@pytest.mark.parametrize(
    ("model", "card"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA A100-SXM4-80GB", "a100"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA L4", "l4"),
        ("NVIDIA GeForce RTX 4090", "rtx4090"),
        ("NVIDIA A10", "a10"),
        ("Quadro of long ago", "rtx3090"),
    ],
)
def test_the_card_of_this_machine_is_known_by_its_driver(model: str, card: str, tmp_path: Path) -> None:
    assert found_here(tmp_path) is None
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0/information").write_text(f"Model: \t\t {model}\nIRQ: 12\n")
    found = found_here(tmp_path)
    assert found is not None and found.name == card


def test_a_card_is_named_or_found() -> None:
    assert card_of(Resources(device="h100")) == CARDS["h100"]
    assert card_of(Resources(device="cpu")) is None


def test_memory_of_a_training(tmp_path: Path) -> None:
    folder, size = model_folder(tmp_path / "m", KINDS["llama-2-7b"][0]), 6_738_000_000

    def needed(options: Training, launch: Launch | None = None) -> float:
        return gigabytes(folder, size, options, launch or Launch(), 32)

    small = {"trl": {"per_device_train_batch_size": 1, "gradient_checkpointing": True}}
    whole = needed(Training.model_validate(small))
    assert whole == pytest.approx(18 * 6.738, rel=0.05)  # weights, gradients, moments, and a copy in bfloat16
    assert needed(Training()) > whole + 50, "what 16,384 tokens at once leave for the backward pass"
    shared = needed(Training.model_validate(small), Launch(processes=8, strategy="fsdp"))
    assert shared < whole / 5
    assert needed(Training.model_validate(small), Launch(processes=8)) == whole, "each process has it whole"
    adapter = needed(Training.model_validate({**small, "lora": Lora()}))
    packed = needed(Training.model_validate({**small, "lora": Lora(quantised="nf4")}))
    assert packed < 8 < adapter < 32
    assert needed(Training.model_validate({"trl": {"per_device_train_batch_size": 1}, "max_tokens": 512})) < needed(
        Training.model_validate({"trl": {"per_device_train_batch_size": 4}, "max_tokens": 512})
    )


def test_what_does_not_fit_is_said_in_a_line() -> None:
    card = CARDS["a100"]
    assert does_not_fit(card, {"m0": 79}, 14) == []
    (said,) = does_not_fit(card, {"m0": 100, "m1": 120, "backward": 20}, 14)
    assert "m1 takes about 120 GB" in said and "2 trainings" in said and "a100 has 80" in said and "fsdp" in said
    (said,) = does_not_fit(card, {}, 140)
    assert "140 GB" in said and "a100" in said


def pages(folder: Path) -> Path:
    folder.mkdir()
    for page in range(30):
        parts = [
            f"<h2>Part {part} of {page}</h2><p>{f'Boat {part} came down river {page} slowly. ' * 25}</p>"
            for part in range(6)
        ]
        (folder / f"{page}.html").write_text(f"<html><body><h1>Rivers</h1>{''.join(parts)}</body></html>")
    return folder


@pytest.mark.parametrize("card", ["h200", "a100", "l40s", "rtx4090"])
def test_the_papers_recipe_takes_what_its_tokens_take(
    card: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = model_folder(tmp_path / "base", KINDS["llama-2-7b"][0], tokenizer=True)
    seed = tmp_path / "seed.jsonl"
    rows = [{"instruction": f"What of river {n}?", "output": "It flows to the sea. " * 20} for n in range(200)]
    seed.write_text("\n".join(map(json.dumps, rows)))
    paths = {"BASE": base, "SEED": seed, "CRAWL": pages(tmp_path / "crawl"), "CHAT_TEMPLATE": ""}
    for name, path in paths.items():
        monkeypatch.setenv(name, str(path))
    changes = [f"resources.device={card}", "recipe.seed.sources.0.format=pairs", "recipe.corpus.sources.0.format=html"]
    recipe = Path(__file__).parents[2] / "recipes/paper.yaml"
    plan = Plan(load_recipe(recipe, [*changes, "recipe.corpus.preset=none", f"resources.runs={tmp_path}"]))
    reached, size = 0.4 * CARDS[card].tflops * 1e12, 6.738e9
    steps = [step for step in plan.steps if step.role]
    assert {"backward", "augment", "score-1", "m0"} <= {step.name for step in steps}
    for step in steps:
        tokens = step.forecast.tokens
        asked = 2 * size * (tokens.prompt + tokens.output) + 6 * size * tokens.train
        assert asked > 0, step.name
        worked = step.seconds - plan.rates.startup
        assert asked / reached / 2 < worked < 2 * asked / reached, step.name
    over = [note for note in plan.notes if "card's memory" in note]
    assert len(over) == 1 and card in over[0] and "fsdp" in over[0]
    assert all(step.forecast.memory > 100 for step in plan.steps if step.role == "train")


@pytest.mark.parametrize(
    ("arguments", "cards"),
    [
        ((), (1, 1)),
        (("--tensor-parallel-size", "8", "--max-model-len", "4096"), (8, 1)),
        (("-tp=4", "--pipeline-parallel-size=2", "-dp", "3"), (8, 3)),
        (("--max-model-len", "8", "--tensor-parallel-size"), (1, 1)),
    ],
)
def test_the_cards_of_a_server_are_known_by_its_arguments(arguments: tuple[str, ...], cards: tuple[int, int]) -> None:
    engine = {"kind": "vllm_server", "arguments": arguments}
    resources = ResourcesOptions.model_validate({"device": "h100", "engine": engine})
    assert cards_of_server(resources, resources.engine) == (cards[0], cards[0] * cards[1])
    assert cards_asking(resources, "score") == cards[0] * cards[1]


def test_rates_of_a_card_are_those_of_the_model_nearest_in_size(tmp_path: Path) -> None:
    figures = [
        {"work": "score", "parameters": 10**9, "prompt": 100_000, "output": 0, "train": 0, "seconds": 1.0},
        {"work": "score", "parameters": 7 * 10**9, "prompt": 20_000, "output": 0, "train": 0, "seconds": 1.0},
        {"work": "augment", "parameters": 7 * 10**9, "prompt": 20_000, "output": 3000, "train": 0, "seconds": 3.0},
        {"work": "train", "parameters": 7 * 10**9, "prompt": 0, "output": 0, "train": 6000, "seconds": 2.0},
    ]
    path = tmp_path / "gpu.jsonl"
    path.write_text("\n".join(json.dumps({"card": "H100", **one}) for one in figures))
    eight = ResourcesOptions.model_validate({"training": {"processes": 8}})
    rates, said = measured_rates(path, 14 * 10**9, eight)
    assert rates == pytest.approx((10_000, 750, 12_000)) and said == f"measured on H100 ({path})"
    assert measured_rates(path, 2 * 10**9, eight)[0].prompt == pytest.approx(50_000)
    path.write_text(json.dumps({"card": "H100", **figures[0]}))
    with pytest.raises(InputError, match="there is no line for augment, train"):
        measured_rates(path, 0, eight)
    path.write_text(json.dumps({"card": "H100", **figures[0], "seconds": 0}))
    with pytest.raises(InputError, match=r"gpu.jsonl:1: seconds Input should be greater than 0; give what"):
        measured_rates(path, 0, eight)
    with pytest.raises(InputError, match="No such file"):
        measured_rates(tmp_path / "none", 0, eight)
