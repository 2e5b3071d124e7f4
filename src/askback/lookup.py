"""Names a user writes → the code they mean, imported only when used, with a suggestion when the name is wrong."""

import difflib
import importlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_args

from askback.errors import RecipeError


def nearest(name: str, allowed: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the allowed name closest to `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.5)
    return f" Did you mean '{close[0]}'?" if close else ""


def table(package: str, names: Any, record: str) -> dict[str, str]:
    """Return name → ``"package.module:record"`` for the names of a `Literal`, each that of a module of the package."""
    return {name: f"{package}.{name.replace('-', '_')}:{record}" for name in get_args(names)}


@lru_cache
def installed(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group, by name; of two packages with one name, the first that is found counts."""
    return {found.name: found for found in reversed(list(entry_points(group=group)))}


def lookup(table: Mapping[str, str], name: str, what: str) -> Any:
    """Import and return what `table` gives for `name`.

    Args:
        table: name → ``"package.module:attribute"``.
        what: the kind of thing, for the message.

    Raises:
        RecipeError: `name` is not in the table.
    """
    if name not in table:
        raise RecipeError(f"unknown {what} '{name}'; allowed: {', '.join(sorted(table))}.{nearest(name, table)}")
    return load(table[name])


def load(dotted: str) -> Any:
    """Import and return what a ``"package.module:attribute"`` stands for."""
    module, attribute = dotted.split(":")
    return getattr(importlib.import_module(module), attribute)
