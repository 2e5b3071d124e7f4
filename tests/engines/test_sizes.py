"""A vLLM is laid out by its model and the cards there are, and what a recipe says stays."""

import json
import os
from pathlib import Path

import pytest

from askback.engines.vllm.sizes import Sizes, cards_here, sizes
from askback.recipe import EngineOptions

GIB = 2**30
SHAPES = {
    "135M": (49_152, 576, 30, 9, 3, 1_536),
    "1B": (128_256, 2_048, 16, 32, 8, 8_192),
    "7B": (32_000, 4_096, 32, 32, 32, 11_008),
    "70B": (128_256, 8_192, 80, 64, 8, 28_672),
}


def checkpoint(folder: Path, name: str) -> Path:
    """Write the configuration of a model, without weights."""
    keys = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    config = dict(zip((*keys, "intermediate_size"), SHAPES[name], strict=True))
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def chosen(folder: Path, cards: list[int], *arguments: str) -> tuple[dict[str, str], int]:
    found = sizes(folder, EngineOptions(kind="vllm_server", arguments=arguments), cards)
    return dict(zip(found.arguments[::2], found.arguments[1::2], strict=True)), found.concurrency


@pytest.mark.parametrize(
    ("model", "cards", "rows", "tokens", "share", "spread", "copies"),
    [
        ("135M", [80 * GIB], 1_024, 16_384, 0.83, None, None),
        ("1B", [80 * GIB], 1_024, 8_192, 0.80, None, None),
        ("7B", [80 * GIB] * 8, 449, 16_384, 0.86, 1, 8),
        ("70B", [80 * GIB] * 8, 1_024, 8_192, 0.80, 4, 2),
        ("1B", [24 * GIB], 1_024, 2_048, 0.82, None, None),
    ],
)
def test_sequences_passes_memory_and_copies_follow_from_the_model_and_the_cards(
    tmp_path: Path, model: str, cards: list[int], rows: int, tokens: int, share: float, spread: int, copies: int
) -> None:
    found, concurrency = chosen(checkpoint(tmp_path / "m", model), cards)
    assert found["--max-num-batched-tokens"] == str(tokens)
    assert found["--max-num-seqs"] == str(rows)
    assert float(found["--gpu-memory-utilization"]) == share
    assert found.get("--tensor-parallel-size") == (spread and str(spread))
    assert found.get("--data-parallel-size") == (copies and str(copies))
    assert concurrency == min(1_024, rows * (copies or 1))
    vocabulary = SHAPES[model][0]
    assert share * cards[0] + 10 * tokens * vocabulary <= 0.925 * cards[0], "the logits of a pass have room"


def test_what_a_recipe_says_stays_and_the_rest_follows(tmp_path: Path) -> None:
    model = checkpoint(tmp_path / "m", "7B")
    found, concurrency = chosen(model, [80 * GIB] * 8, "-tp=2", "--max-num-seqs", "64", "--gpu-memory-utilization=0.5")
    assert {*found} == {"--max-num-batched-tokens"} and concurrency == 64
    found, concurrency = chosen(model, [80 * GIB] * 8, "--max-num-batched-tokens", "4096", "--data-parallel-size", "4")
    assert {*found} == {"--max-num-seqs", "--gpu-memory-utilization"} and concurrency == 1_024
    assert found["--gpu-memory-utilization"] == "0.90", "fewer tokens of a pass leave more"


def test_without_a_card_or_a_known_shape_all_is_left_to_vllm(tmp_path: Path) -> None:
    options = EngineOptions(kind="vllm_server")
    assert sizes(checkpoint(tmp_path / "m", "7B"), options, []) == Sizes((), 32)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/config.json").write_text("{}")
    assert sizes(tmp_path / "odd", options, [80 * GIB]) == Sizes((), 32)


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        (None, [81_559, 81_559, 24_564]),
        ("2", [24_564]),
        ("GPU-b,0", [81_559, 81_559]),
        ("", []),
        ("MIG-c", []),
    ],
)
def test_cards_are_those_that_a_process_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, visible: str | None, found: list[int]
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '0, GPU-a, 81559'\necho '1, GPU-b, 81559'\necho '2, GPU-c, 24564'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert cards_here() == [mebibytes << 20 for mebibytes in found]
    program.write_text("#!/bin/sh\necho 'No devices were found'; exit 6\n")
    assert cards_here() == []
