"""The processes that train one model together: this process's rank, and agreement between them.

``accelerate launch`` sets their ranks in the environment; without it, there is one process.
"""

import os
from typing import Any


def count() -> int:
    """Return the number of processes that train together, over all nodes."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Return whether this is the process that writes and reports."""
    return int(os.environ.get("RANK", "0")) == 0


def agreed(value: Any) -> Any:
    """Return, in every process, the value of the first; all must call it, once TRL's settings exist."""
    if count() == 1:
        return value
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([value])[0]


def meet() -> None:
    """Wait for all processes."""
    agreed(None)
