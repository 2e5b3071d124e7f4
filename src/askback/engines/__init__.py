"""Engines behind one small protocol (protocol.py): one record each, in the file here that is called like it.

Their names are in recipe/names.py.
"""

from dataclasses import dataclass
from typing import NamedTuple

from askback.lookup import load, lookup


@dataclass(frozen=True)
class EngineKind:
    """All there is to know of an engine before it is opened; what it is opened by is imported then."""

    opens: str
    """The class, as ``"package.module:class"``, called with a model's folder, the options, a chat template and the
    context of the worker."""
    counts: tuple[str, ...]
    """Which options change what a model answers. A key, or the name of its variable, never does."""
    weight_bytes: int = 0
    """What a weight of the run's models takes in this machine's card, in bfloat16; 0 of an engine that holds none there."""
    served: bool = False
    """Whether a server's own model is asked, whichever model the run has made."""
    needs: tuple[str, str] | None = None
    """A package that has to be installed, and the extra that installs it."""
    rate: int = 0
    """Tokens a second, where that is known before anything is measured; such an engine loads no model."""

    @property
    def calls(self) -> frozenset[str]:
        """What an engine of this kind may be asked for, as far as that is known before it is opened."""
        found: frozenset[str] = load(self.opens).calls
        return found


def kind_of(name: str) -> EngineKind:
    """Return what is known of an engine."""
    from askback.recipe.names import ENGINES  # late: reading recipes takes pydantic, and a model does not

    found: EngineKind = lookup(ENGINES, name, "engine")
    return found


class Offer(NamedTuple):
    """What the server of a role offers: in words, and which calls it answers."""

    role: str
    said: str
    calls: frozenset[str]
