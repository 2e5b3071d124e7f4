"""What a run would refuse, as far as it can be known before: found by what refuses it there, and so in the same words."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from askback.engines import kind_of
from askback.errors import AskbackError, MissingExtra
from askback.methods import names
from askback.models import is_remote
from askback.recipe import RecipeFile, Training
from askback.train.launch import check_shares
from askback.train.trackers import check_installed


@dataclass
class Refusals:
    """Errors that a run would end with, in the order it would meet them; `at_once` raises the first instead."""

    at_once: bool = False
    found: list[AskbackError] = field(default_factory=list)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note an error that is raised inside."""
        try:
            yield
        except AskbackError as error:
            if self.at_once:
                raise
            if str(error) not in map(str, self.found):
                self.found.append(error)

    def refuse(self) -> None:
        """Raise the first error, with the others in its message, a line each.

        Raises:
            AskbackError: as the run would, with its exit code.
        """
        if self.found:
            first = self.found[0]
            first.args = ("\n".join(map(str, self.found)),)
            raise first


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


def check_training(options: Training, batch_size: int, file: RecipeFile, base: Path | None, refusals: Refusals) -> None:
    """Check a training's options, as far as its libraries are here to say what is wrong with them."""
    checks: list[Callable[[], object]] = [lambda: check_shares(file.resources.training, batch_size)]
    if options.trl and find_spec("trl"):
        from askback.train.trainer import check_options

        checks.append(lambda: check_options(options))
    if options.dropout and base and find_spec("transformers"):
        from askback.train.dropout import with_dropout

        checks.append(lambda: with_dropout(base, options.dropout))
    for check in checks:
        with refusals.noted():
            check()


def no_room(folder: Path, needed: int) -> list[str]:
    """Return a sentence where the disk has less room than is needed."""
    here = next((parent for parent in [folder, *folder.absolute().parents] if parent.is_dir()), Path())
    free = shutil.disk_usage(here).free
    if needed <= free:
        return []
    return [f"{needed / 1e9:,.1f} GB of disk are needed at most, and {here} has {free / 1e9:,.1f} GB free"]
