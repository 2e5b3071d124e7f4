"""The subset of YAML that a recipe may use: mappings, lists, text, numbers, booleans and null, within bounds, unique keys.

Anything else in the format (tags, dates, sets, bytes, infinities, aliases that multiply or contain themselves) is an error
with its place. Bounds are checked before anything is built, so no file costs much time or memory.
"""

import math
import re
from typing import Any

import yaml

MOST_BYTES = 1_000_000
MOST_NODES = 25_000
"""Largest number of values and keys; aliases count each time."""
DEEPEST = 40
"""Largest depth of nesting."""
LARGEST = 2**63 - 1
"""Largest absolute value of a whole number."""
_UNFIT = re.compile(r"[\x00\ud800-\udfff]")


def read_yaml(text: str) -> Any:
    """Return the value of a YAML text, in plain types alone.

    Raises:
        ValueError: the text is not valid or exceeds a bound; the message gives the place, in one line.
    """
    if len(text) > MOST_BYTES:
        raise ValueError(f"{len(text):,} characters, at most {MOST_BYTES:,}")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check_size(node)
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(f"not valid YAML: {_one_line(error)}") from error
    except RecursionError as error:
        raise ValueError(f"nested more than {DEEPEST} deep") from error


class _Loader(yaml.SafeLoader):
    """A loader of the subset: 1e-5 is a number, not text, and 2026-02-30 is text, not a date."""

    yaml_implicit_resolvers = {
        first: [one for one in found if not one[0].endswith(":timestamp")]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Check the bounds before more of the text is parsed."""
        self._depth, self._nodes = self._depth + 1, self._nodes + 1
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if tag := getattr(event, "tag", None):
            raise _error(event, f"the tag {tag[:80]!r}; a recipe has none, put text in quotation marks")
        if self._depth > DEEPEST:
            raise _error(event, f"nested more than {DEEPEST} deep")
        if self._nodes > MOST_NODES:
            raise _error(event, f"more than {MOST_NODES:,} values")
        node = super().compose_node(parent, index)
        self._depth -= 1
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
        return node

    def construct_yaml_int(self, node: Any) -> int:
        try:
            value = super().construct_yaml_int(node) if len(node.value) <= 64 else LARGEST + 1
        except ValueError as error:
            raise _error(node, f"not a number: {node.value[:80]!r}") from error
        if abs(value) > LARGEST:
            raise _error(node, f"the number {node.value[:40]} is too large; at most {LARGEST}")
        return int(value)

    def construct_yaml_float(self, node: Any) -> float:
        try:
            value = super().construct_yaml_float(node)
        except (ValueError, OverflowError) as error:
            raise _error(node, f"not a number: {node.value[:80]!r}") from error
        if not math.isfinite(value):
            raise _error(node, f"{node.value[:40]} is no finite number")
        return float(value)

    def construct_yaml_str(self, node: Any) -> str:
        if found := _UNFIT.search(node.value):
            raise _error(node, f"a text holds the character U+{ord(found[0]):04X}, which no path or text may")
        return str(super().construct_yaml_str(node))


for _kind in ("int", "float", "str"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", getattr(_Loader, f"construct_yaml_{_kind}"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"\A[-+]?(?:\d+(?:\.\d*)?|\.\d+)[eE][-+]?\d+\Z"), list("-+.0123456789")
)


def _check_size(root: Any) -> None:
    """Refuse a tree that is too large or deep with every alias expanded, or that has an alias inside itself."""
    measured: dict[int, tuple[int, int]] = {}
    open_nodes: set[int] = set()

    def measure(node: Any) -> tuple[int, int]:
        """Return the number of nodes of this subtree, and its depth."""
        if id(node) in open_nodes:
            raise _error(node, "an alias holds itself")
        if id(node) not in measured:
            open_nodes.add(id(node))
            inner = [measure(one) for one in _inner(node)]
            open_nodes.remove(id(node))
            count, depth = 1 + sum(one[0] for one in inner), 1 + max((one[1] for one in inner), default=0)
            if count > MOST_NODES:
                raise _error(node, f"more than {MOST_NODES:,} values, aliases counted each time")
            if depth > DEEPEST:
                raise _error(node, f"nested more than {DEEPEST} deep")
            measured[id(node)] = count, depth
        return measured[id(node)]

    measure(root)


def _check_keys(node: yaml.MappingNode) -> None:
    """Refuse a key that stands there twice; PyYAML would drop the first."""
    seen: set[tuple[str, str]] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in seen:
                raise _error(key, f"the key {key.value[:80]!r} stands there twice")
            seen.add((key.tag, key.value))


def _inner(node: Any) -> list[Any]:
    if isinstance(node, yaml.MappingNode):
        return [one for pair in node.value for one in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _error(where: Any, problem: str) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, where.start_mark)


def _one_line(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or problem is None:
        return " ".join(str(error).split())[:300]
    return f"line {mark.line + 1}, column {mark.column + 1}: {' '.join(str(problem).split())[:300]}"
