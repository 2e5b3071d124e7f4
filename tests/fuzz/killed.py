"""A process that runs commands in children of its own, and kills them: ``python -m tests.fuzz.killed``.

A line of JSON on stdin is one attempt at a command over a recipe; the line that answers says how the child ended. What is
imported is imported once.
"""

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from askback.engines.local.preload import preload
from askback.execution.run import redo
from askback.export import export
from askback.methods import page_of
from askback.plan import Plan
from askback.recipe import RecipeFile
from askback.report.html import write_report
from tests.run_here import working_here
from tests.untrained import Untrained

preload("safetensors.torch", "pandas")  # pyarrow imports pandas where it is installed
EVENTS = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"}


def watch_files(most: int) -> list[int]:
    """Count what is done to files; before number `most`, end as by ``kill -9``. The list holds the count."""
    count = [0]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in EVENTS:
            count[0] += 1
            if count[0] == most:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return count


def work(order: dict[str, Any], file: RecipeFile) -> None:
    """Do one command."""
    here = Path(order["here"])
    file = file.model_copy(update={"resources": file.resources.model_copy(update={"runs": str(here / "runs")})})
    run = here / "runs" / file.name
    if order["command"] == "export":
        export(run, here / "data", order.get("format", "messages"), order.get("file_type", "parquet"), validation=0.3)
    elif order["command"] == "report":
        write_report([run], here / "report.html")
    else:
        with Untrained(file) as steps:
            if order["command"] == "redo":
                redo(steps.folder, "augment", Plan(file, forecast=False).dependants("augment"))
            page_of(file.recipe)(file.recipe, steps)


def attempt(order: dict[str, Any], file: RecipeFile) -> None:
    """In a child: do it, and tell how many changes of files that took."""
    status = 1
    try:
        count = watch_files(order.get("changes", 0))
        work(order, file)
        Path(order["told"]).write_text(str(count[0]))
        status = 0
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Serve attempts until stdin ends; what is tried is what a kill leaves on disk."""
    for line in sys.stdin:
        order = json.loads(line)
        file = RecipeFile.model_validate_json(Path(order["recipe"]).read_text())
        child = os.fork()
        if child == 0:
            attempt(order, file)
        if seconds := order.get("seconds"):
            time.sleep(seconds)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


if __name__ == "__main__":
    with working_here():
        main()
