"""The processes that train one model together: which of them this is, and how they come to agree.

``accelerate launch`` numbers them in the environment. Where it has not started us, there is one.
"""

import os
from typing import Any


def count() -> int:
    """Return how many processes train together, over all nodes."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Tell whether this is the one that writes and reports."""
    return int(os.environ.get("RANK", "0")) == 0


def agreed(value: Any) -> Any:
    """Return what the first process gave, in all of them; each must call it, once TRL's settings exist."""
    if count() == 1:
        return value
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([value])[0]


def meet() -> None:
    """Wait until all processes are here."""
    agreed(None)
