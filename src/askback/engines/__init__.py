"""Engines behind one small protocol (protocol.py): each is an `EngineKind` in the file of its name here.

The names are in recipe/names.py.
"""

from dataclasses import dataclass
from typing import NamedTuple

from askback.lookup import load, lookup


@dataclass(frozen=True)
class EngineKind:
    """What is known of an engine before it is opened; its code is imported only then."""

    opens: str
    """The class, as ``"package.module:class"``, called with a model's folder, the options, a chat template and the
    context of the worker."""
    counts: tuple[str, ...]
    """Options that change a model's answers. A key, or the name of its variable, is never among them."""
    weight_bytes: int = 0
    """Bytes per weight of the run's models in this machine's GPU memory; 0 for an engine that holds no model there."""
    served: bool = False
    """Whether it asks a server's own model, whichever model the run has made."""
    preload: str = ""
    """A module that imports what a worker takes long to import; empty if nothing does."""
    needs: tuple[str, str] | None = None
    """A package that it needs, and the extra that installs it."""
    rate: int = 0
    """Tokens per second, for an engine without a model, whose speed is known; 0 for others."""

    @property
    def calls(self) -> frozenset[str]:
        """The calls that an engine of this kind may answer, as far as that is known before it is opened."""
        found: frozenset[str] = load(self.opens).calls
        return found


def kind_of(name: str) -> EngineKind:
    """Return the kind of an engine by its name."""
    from askback.recipe.names import ENGINES  # late: reading recipes takes pydantic, and a model does not

    found: EngineKind = lookup(ENGINES, name, "engine")
    return found


class Offer(NamedTuple):
    """The capabilities of the server of a role: in words, and the calls that it answers."""

    role: str
    description: str
    calls: frozenset[str]
