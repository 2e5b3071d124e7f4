"""How long the review page takes to answer a label, and the memory it takes, over a run of many pairs.

``PYTHONPATH=. python benchmarks/review.py [PAIRS] [CHARACTERS]`` writes such a run into a temporary folder: 10,000 pairs of
3,000 characters unless given. It labels 200 pairs, and prints CPU times, which other work leaves alone.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from statistics import median

from tests.review.runs import candidate, write_run

from askback.review.page import page
from askback.review.queues import View
from askback.review.session import Session

LABELS = 200


def main(count: int, characters: int) -> None:
    """Write the run, label, and print the figures."""
    random = Random(0)
    words = [f"w{random.randrange(10**6)}" for _ in range(50_000)]
    with tempfile.TemporaryDirectory() as folder:
        texts = (" ".join(random.choices(words, k=characters // 8)) for _ in range(count))
        run = write_run(Path(folder) / "run", [candidate(n, text) for n, text in enumerate(texts)], 2048)
        written = _megabytes()
        begun = time.process_time()
        session, view = Session(run, "ada"), View(count=count)
        print(f"{count:,} pairs of {characters:,} characters: {time.process_time() - begun:.1f} s to start")
        choices, times = session.choices(), []
        screen = session.screen(view)
        for _ in range(LABELS):
            begun = time.process_time()
            form = {"action": "label", "event": screen.event, "given": "4", "pair": screen.cards[0].pair}
            session.act(view, form)
            screen = session.screen(view)
            page(screen, "run", "ada", choices)
            times.append(1000 * (time.process_time() - begun))
        print(f"a label: {median(times):.0f} ms in the median, {sorted(times)[-LABELS // 20]:.0f} ms for one in twenty")
        print(f"memory: {written:.0f} MB after the run was written, {_megabytes():.0f} MB at most")


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(*(int(argument) for argument in (sys.argv[1:] + ["10000", "3000"][len(sys.argv) - 1 :])))
