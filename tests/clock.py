"""CPU time, where what is asked is whether work hangs: speeds are measured in benchmarks/."""

import gc
import time
from collections.abc import Callable


def ends_within(seconds: float, work: Callable[[], object], tries: int = 4) -> bool:
    """Return whether one of a few tries of `work` took less than this CPU time.

    The bounds are twenty times and more what it takes on an idle machine, and still a shared core at its worst can miss
    one: what is quadratic misses them all. What earlier tests left in memory is not collected on the time of the work.
    """
    gc.collect()
    gc.freeze()
    return any(_taken(work) < seconds for _ in range(tries))


def _taken(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
