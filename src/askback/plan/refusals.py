"""What a run needs of this machine: packages that are installed, room on the disk."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from askback.engines import kind_of
from askback.errors import MissingExtra
from askback.execution.forecast import Refusals
from askback.methods import names
from askback.models import is_remote
from askback.recipe import RecipeFile
from askback.train.trackers import check_installed


def check_packages(file: RecipeFile, refusals: Refusals) -> None:
    """Look for what a recipe needs installed."""
    recipe, resources = file.recipe, file.resources
    needed: list[tuple[str, MissingExtra]] = []
    if is_remote(recipe.base) and not recipe.base.startswith("builtin:"):
        needed.append(("huggingface_hub", MissingExtra("huggingface_hub", "local", f"downloading {recipe.base}")))
    needed += [(name, MissingExtra(name, "local", "training")) for name in ("torch", "transformers", "trl", "datasets")]
    for training in filter(None, (recipe.backward, recipe.forward)):
        if training.lora and training.lora.quantised:
            purpose = f"lora.quantised: {training.lora.quantised}"
            needed.append(("bitsandbytes", MissingExtra("bitsandbytes", "quantised", purpose)))
    for role in names.ROLES:
        if needs := kind_of(kind := resources.engine_for(role).kind).needs:
            needed.append((needs[0], MissingExtra(*needs, f"the engine '{kind}'")))
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
