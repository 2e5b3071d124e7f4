"""What every room's options stand on."""

from typing import Annotated, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
"""Of a run: also a folder's name, so nothing that could lead out of the runs folder."""
Share = Annotated[float, Field(ge=0, le=1)]
Value = TypeVar("Value")
PerRound: TypeAlias = Annotated[
    Annotated[Value, Tag("value")] | Annotated[list[Value], Tag("list")],
    Discriminator(lambda given: "list" if isinstance(given, list) else "value"),
]
"""One value for all rounds, or a list with one for each. Told apart by hand, so that a mistake is told once."""


class Options(BaseModel):
    """Frozen, and strict about names."""

    model_config = ConfigDict(frozen=True, extra="forbid")
