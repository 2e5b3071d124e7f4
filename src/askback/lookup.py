"""From a name that a user writes to the code that it stands for, imported when used; wrong names get a suggestion."""

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
    """Return name → ``"package.module:record"`` for the names of a `Literal`; each is the name of a module."""
    return {name: f"{package}.{name.replace('-', '_')}:{record}" for name in get_args(names)}


@lru_cache
def installed(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group, by name; of two with one name, the first that is found."""
    return {found.name: found for found in reversed(list(entry_points(group=group)))}


def lookup(table: Mapping[str, str], name: str, what: str) -> Any:
    """Import and return what `table`, name → ``"package.module:attribute"``, has for `name`, a kind of `what`.

    Raises:
        RecipeError: `name` is not in the table.
    """
    if name not in table:
        raise RecipeError(f"unknown {what} '{name}'; allowed: {', '.join(sorted(table))}.{nearest(name, table)}")
    return load(table[name])


def load(dotted: str) -> Any:
    """Import and return the object that ``"package.module:attribute"`` names."""
    module, attribute = dotted.split(":")
    return getattr(importlib.import_module(module), attribute)
