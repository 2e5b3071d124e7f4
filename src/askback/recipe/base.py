"""Base class and common types of all options."""

from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
"""Pattern of a run's name, which is also its folder's: nothing that could lead out of the runs folder."""
LONGEST_PATH, LONGEST_NAME = 4096, 255
"""Largest number of bytes of a path, and of one name in it, that file systems take."""


def _path(text: str) -> str:
    encoded = text.encode("utf-8", "surrogateescape")
    names = [] if "://" in text or text.startswith("hub:") else encoded.split(b"/")
    if len(encoded) > LONGEST_PATH or any(len(name) > LONGEST_NAME for name in names):
        raise ValueError(f"a path has at most {LONGEST_PATH} bytes, and a name in it {LONGEST_NAME}")
    if any(ord(character) < 32 for character in text):
        raise ValueError("a path holds no control characters")
    if not text.startswith("~"):
        return text
    try:
        return str(Path(text).expanduser())
    except RuntimeError as error:
        raise ValueError("there is no such user; give the folder in place of ~NAME") from error


FilePath = Annotated[str, AfterValidator(_path)]
"""A path, glob or URL that the operating system accepts, or "", with the home folder in place of ``~``; whether it exists
is not checked."""
Share = Annotated[float, Field(ge=0, le=1)]
Value = TypeVar("Value")
PerRound: TypeAlias = Annotated[
    Annotated[Value, Tag("value")] | Annotated[list[Value], Tag("list")],
    Discriminator(lambda given: "list" if isinstance(given, list) else "value"),
]
"""One value for all rounds, or a list with one for each. The discriminator makes pydantic report a mistake once, not once
for each alternative."""


class Options(BaseModel):
    """Options: frozen, and unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
