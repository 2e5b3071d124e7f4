"""Reading a recipe file: overrides, environment, and all problems reported at once, each with its place in the YAML."""

import re
from copy import copy
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from askback.errors import InputError, RecipeError
from askback.lookup import nearest
from askback.recipe import RecipeFile
from askback.recipe.training import MODE
from askback.recipe.variables import VARIABLE, fill, hide
from askback.recipe.yaml_subset import DEEPEST, MOST_BYTES, read_yaml


def load_recipe(path: str | Path, overrides: list[str] | None = None, unset: bool = False) -> RecipeFile:
    """Read a recipe, apply ``key=value`` overrides (``recipe.rounds=1``), and check all of it.

    ``${NAME}`` and ``${NAME:-default}`` in strings are filled in from the environment, and their values are written
    nowhere (recipe/variables.py). Relative paths are relative to the working directory.

    Args:
        unset: leave variables that are not set as they are written, to look at a finished run.

    Raises:
        InputError: the file cannot be read.
        RecipeError: the recipe is invalid; the message lists every problem.
    """
    tree = _read(path)
    for override in overrides or []:
        _override(tree, override)
    names: list[str] = []
    written: dict[Place, str] = {}
    tree = _filled(tree, names, written)
    missing = [f"${{{name}}} is not set; set it in the environment, or give the value with --set" for name in names]
    missing = [] if unset else missing
    try:
        checked = RecipeFile.model_validate(tree)
    except ValidationError as error:
        problems = missing + [_problem(dict(detail), written) for detail in error.errors()]
        more = [f"and {len(problems) - MOST_SHOWN:,} more problems"] if len(problems) > MOST_SHOWN else []
        raise RecipeError("\n".join(f"{path}: {one}" for one in problems[:MOST_SHOWN] + more)) from error
    if missing:
        raise RecipeError("\n".join(f"{path}: {problem}" for problem in missing))
    checked.keep_written(written)
    return checked


MOST_SHOWN = 50
"""Largest number of problems in one message."""
SHOWN = 200
"""Largest number of characters of a value in a message."""


def _read(path: str | Path) -> dict[str, Any]:
    """Read the file within the bounds of a recipe.

    Raises:
        InputError: the file cannot be read, or is no regular file.
        RecipeError: it is not YAML, or beyond the bounds of recipe/yaml_subset.py.
    """
    try:
        if Path(path).exists() and not Path(path).is_file():
            raise InputError(f"{path}: not a file; give the path of a recipe. Start one with: askback init NAME")
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise RecipeError(f"{path}: more than {MOST_BYTES:,} bytes, which no recipe has")
        text = data.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot read the recipe: {error}. Start one with: askback init NAME") from error
    try:
        tree = read_yaml(text)
    except ValueError as error:
        raise RecipeError(f"{path}: {error}") from error
    if not isinstance(tree, dict):
        raise RecipeError(f"{path}: expected a mapping with 'name' and 'recipe', found {type(tree).__name__}")
    return tree


def _override(tree: dict[str, Any], override: str) -> None:
    """Set one dotted key in the tree; numbers index lists (``recipe.corpus.sources.0.path=x``)."""
    key, equals, value = override.partition("=")
    shown = f"--set {_shown(override)}"
    if not equals:
        raise RecipeError(f"{shown}: expected KEY=VALUE, as in --set recipe.rounds=1")
    *parents, last = key.split(".", DEEPEST)
    node: Any = tree
    try:
        given = read_yaml(value)
    except ValueError as error:
        raise RecipeError(f"{shown}: {error}") from error
    try:
        for part in parents:
            # A copy, as what an alias of YAML stands for is the same object in both places.
            place: Any = int(part) if isinstance(node, list) else part
            below = node[place] if isinstance(node, list) else node.get(place)
            node[place] = {} if below is None else copy(below)
            node = node[place]
        node[int(last) if isinstance(node, list) else last] = given
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        raise RecipeError(f"{shown}: there is no such place in the recipe ({_shown(str(error))})") from error


def _shown(text: str) -> str:
    """Return a text shortened to one line for a message."""
    line = " ".join(hide(text).split()).encode("utf-8", "replace").decode("utf-8")
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


Place = tuple[str | int, ...]


def _filled(node: Any, missing: list[str], written: dict[Place, str], place: Place = ()) -> Any:
    """Return the tree with ``${NAME}`` filled in; collect names that are not set, and the original texts by place."""
    if isinstance(node, dict):
        return {key: _filled(value, missing, written, (*place, key)) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, missing, written, (*place, at)) for at, value in enumerate(node)]
    if not isinstance(node, str) or not VARIABLE.search(node):
        return node
    written[place] = node
    return fill(node, missing)


MAY_HOLD_SECRETS = {"api_key_env", "url", "command", "arguments"}
"""Options whose values no message repeats, as they may hold a key by mistake."""


def _problem(detail: dict[str, Any], written: dict[Place, str]) -> str:
    """Return the message of a validation error: place, problem, value found (as written), nearest allowed name."""
    place = tuple(part for part in detail["loc"] if not str(part).startswith(MODE))
    where = _shown(".".join(map(str, place))) or "the file"
    if detail["type"] == "extra_forbidden":
        allowed = _fields_at(detail["loc"][:-1])
        name = _shown(str(detail["loc"][-1]))
        return f"{where}: unknown key; allowed: {', '.join(allowed)}.{nearest(name, allowed)}"
    if detail["type"] == "missing":
        return f"{where}: missing and required"
    found = written.get(place, detail["input"])
    secret = not MAY_HOLD_SECRETS.isdisjoint(detail["loc"])
    shown = "" if secret or isinstance(found, (dict, list)) else f"; found {_shown(repr(found))}"
    hint = nearest(_shown(str(found)), re.findall(r"'([^']+)'", str(detail.get("ctx", {}).get("expected", ""))))
    return f"{where}: {detail['msg'].removeprefix('Value error, ')}{shown}.{hint}".replace("..", ".")


def _fields_at(location: tuple[str | int, ...]) -> list[str]:
    """Return the keys allowed at a place in the recipe."""
    kind: Any = RecipeFile
    alternatives: tuple[Any, ...] = ()
    for part in location:
        if isinstance(part, int):
            continue
        if str(part).startswith(MODE):
            kind = next(one for one in alternatives if part in str(one))
        else:
            alternatives = get_args(kind.model_fields[part].annotation)
            kind = kind.model_fields[part].annotation
        while not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            kind = next(arg for arg in get_args(kind) if arg is not type(None))
    return sorted(kind.model_fields)
