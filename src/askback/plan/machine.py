"""A machine: how fast its card is and what that holds, where nothing was measured; packages and disk that a run needs."""

import math
import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from askback.engines import kind_of
from askback.engines.vllm.sizes import cards_here, parallel
from askback.errors import MissingExtra
from askback.execution.forecast import Refusals
from askback.methods import names
from askback.models import is_remote
from askback.recipe import EngineOptions, RecipeFile, Resources, Training
from askback.recipe.names import scorer
from askback.train.trackers import check_installed

STARTUP = 6.0
"""Seconds to assume until a small model is at work."""
LOADED = 1e9
"""Bytes of weights that are loaded in a second."""
USED = 0.4
"""Share of a card's peak that work with a model reaches."""
READ_FLOPS, TRAIN_FLOPS = 2, 6
"""For each parameter and token: a forward pass; that and a backward pass, which takes twice as much."""
CPU_PARAMETERS = 134_515_008


class PerSecond(NamedTuple):
    """Tokens a second, by what is done with them; of what is never done, 0."""

    prompt: float = 0.0
    output: float = 0.0
    train: float = 0.0


CPU = PerSecond(prompt=700, output=60, train=240)
"""Tokens per second of a model with `CPU_PARAMETERS` on two CPU cores."""
WRITING = 0.25
"""Of the rate at which tokens are read, that at which they are written: each asks for all weights once more."""


class Card(NamedTuple):
    """A kind of GPU: its peak of dense bfloat16 arithmetic in TFLOP/s, and its memory in GB."""

    name: str
    tflops: float
    gigabytes: float


CARDS = {
    "b200": Card("b200", 2250, 180),
    "h200": Card("h200", 989, 141),
    "h100": Card("h100", 989, 80),
    "a100": Card("a100", 312, 80),
    "l40s": Card("l40s", 362, 48),
    "rtx5090": Card("rtx5090", 209, 32),
    "rtx4090": Card("rtx4090", 165, 24),
    "rtx3090": Card("rtx3090", 71, 24),
    "a10": Card("a10", 125, 24),
    "l4": Card("l4", 121, 24),
    "mi300x": Card("mi300x", 1307, 192),
}
"""By the makers' data sheets, without sparsity and with float32 sums; of cards with several sizes, the largest memory."""


def card_of(resources: Resources) -> Card | None:
    """Return the card that `resources.device` names, or the one found in this machine; None is a CPU."""
    return found_here() if resources.device == "auto" else CARDS.get(resources.device)


def found_here(driver: Path = Path("/proc/driver/nvidia/gpus")) -> Card | None:
    """Return the first NVIDIA card of this machine, by its driver; one that is not listed is taken for the slowest."""
    for path in sorted(driver.glob("*/information")):
        name = re.search(r"^Model:\s*(.+)$", path.read_text("utf-8", "replace"), re.MULTILINE)
        words = re.sub(r"[^a-z0-9]", "", name[1].lower()) if name else ""
        listed = [card for key, card in CARDS.items() if key in words]
        return (
            max(listed, key=lambda card: len(card.name)) if listed else min(CARDS.values(), key=lambda one: one.tflops)
        )
    return None


def cards_asking(resources: Resources, role: str) -> float:
    """Return the number of cards at work in a step that asks a model, those of all workers on a Ray cluster."""
    if card_of(resources) is None:
        return 1.0
    if resources.executor == "ray":
        return resources.workers * (resources.gpus_per_worker or 1.0)
    return float(cards_of_server(resources, resources.engine_for(role))[1])


def cards_of_server(resources: Resources, engine: EngineOptions) -> tuple[int, int]:
    """Return the number of cards that an engine may spread a model over, and that of all it uses: those that vLLM's
    arguments name, else all that its process sees (engines/vllm/sizes.py)."""
    if engine.kind != "vllm_server":
        return 1, 1
    if named := parallel(engine.arguments):
        return named[0], math.prod(named)
    if resources.executor == "ray":
        seen = int(resources.gpus_per_worker or 1)
    else:
        seen = len(cards_here()) if resources.device == "auto" else 1
    return max(1, seen), max(1, seen)


def loading(parameters: int) -> float:
    """Return the seconds to assume until a model is loaded and at work."""
    return STARTUP + 2 * parameters / LOADED


def prior(parameters: int, resources: Resources) -> tuple[PerSecond, str]:
    """Return tokens per second to assume for a model of `parameters` (0: unknown), and where that is from: of one card that
    asks it, and of all processes that train it."""
    card, size = card_of(resources), parameters or CPU_PARAMETERS
    processes = resources.training.total
    what = f"a model of {size / 1e9:.2g} billion parameters" if size >= 1e9 else f"a {size / 1e6:.0f}M model"
    if card is None:
        slower = CPU_PARAMETERS / size
        rates = PerSecond(*(max(1e-6, rate * slower) for rate in CPU))
        return rates, f"assumed for {what} on two CPU cores (another machine will differ; resources.device names a GPU)"
    read = USED * card.tflops * 1e12 / (READ_FLOPS * size)
    train = processes * USED * card.tflops * 1e12 / (TRAIN_FLOPS * size)
    source = f"assumed for {what} at {USED:.0%} of the bfloat16 peak of {card.name}, {card.tflops:,.0f} TFLOP/s"
    return PerSecond(read, read * WRITING, train), source


def does_not_fit(card: Card, training: dict[str, float], asking: float) -> list[str]:
    """Return, a sentence each, what does not fit a card: trainings, by step in GB, and a model that is asked, in GB."""
    sentences = []
    over = {name: need for name, need in training.items() if need > card.gigabytes}
    if over:
        name, need = max(over.items(), key=lambda item: item[1])
        others = f" ({len(over)} trainings do)" if len(over) > 1 else ""
        sentences.append(
            f"{name} takes about {need:,.0f} GB of a card's memory{others}, and {card.name} has {card.gigabytes:,.0f}: "
            "give resources.training {processes: N, strategy: fsdp}, or lora (with quantised: nf4), or "
            "trl {per_device_train_batch_size: 1, gradient_checkpointing: true}"
        )
    if asking > card.gigabytes:
        sentences.append(
            f"the model takes about {asking:,.0f} GB to be asked, and {card.name} has {card.gigabytes:,.0f}: give "
            "resources.engine vllm_server with arguments for several cards, or a smaller model"
        )
    return sentences


def check_packages(file: RecipeFile, refusals: Refusals) -> None:
    """Look for what a recipe needs installed."""
    recipe, resources = file.recipe, file.resources
    needed: list[tuple[str, MissingExtra]] = []
    if recipe.base and is_remote(recipe.base) and not recipe.base.startswith("builtin:"):
        needed.append(("huggingface_hub", MissingExtra("huggingface_hub", "local", f"downloading {recipe.base}")))
    trainings = [one for one in (recipe.backward, recipe.forward) if isinstance(one, Training)]
    libraries = ("torch", "transformers", "trl", "datasets") if trainings else ()
    needed += [(name, MissingExtra(name, "local", "training")) for name in libraries]
    for training in trainings:
        if training.lora and training.lora.quantised:
            purpose = f"lora.quantised: {training.lora.quantised}"
            needed.append(("bitsandbytes", MissingExtra("bitsandbytes", "quantised", purpose)))
    for role in names.ROLES:
        if needs := kind_of(kind := resources.engine_for(role).kind).needs:
            needed.append((needs[0], MissingExtra(*needs, f"the engine '{kind}'")))
    for name in recipe.score.scorers:
        if needs := scorer(name).needs:
            needed.append((needs[0], MissingExtra(*needs, f"the scorer '{name}'")))
    if resources.executor == "ray":
        needed.append(("ray", MissingExtra("ray", "ray", "executor 'ray'")))
    for package, missing in needed:
        with refusals.noted():
            if find_spec(package) is None:
                raise missing
    with refusals.noted():
        check_installed(resources.trackers)


def no_room(folder: Path, needed: int) -> list[str]:
    """Return a sentence where the disk has less room than is needed."""
    here = next((parent for parent in [folder, *folder.absolute().parents] if parent.is_dir()), Path())
    free = shutil.disk_usage(here).free
    if needed <= free:
        return []
    return [f"{needed / 1e9:,.1f} GB of disk are needed at most, and {here} has {free / 1e9:,.1f} GB free"]
