"""Writes instructions through a server; a test kills it. ``python -m tests.engines.paid_run FOLDER URL``"""

import os
import sys
from pathlib import Path
from typing import Any

from askback.augment.write import write_instructions
from askback.engines.http import endpoint
from askback.errors import AskbackError
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Outcome
from askback.execution.run import Run
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import Augment, RecipeFile, Select
from askback.records import Provenance, Segment

endpoint.FIRST_PAUSE = 0.02
SEGMENTS = int(os.environ.get("SEGMENTS", "500"))


@recorded(version=1)
def make(step: Step, options: Select) -> Records[Any]:
    outcome = Outcome[Any]()
    for number in range(SEGMENTS):
        outcome.keep(
            "segments",
            Segment(f"s{number:04d}", f"Text number {number}.", [], Provenance(f"f:{number}", language="en")),
        )
    return step.write(Segment, [outcome])


def recipe(folder: Path, url: str) -> RecipeFile:
    engine = {"kind": "openai_http", "url": url, "model": "m", "api_key_env": "PLANTED"}
    return RecipeFile.model_validate(
        {
            "name": "run",
            "recipe": {
                "seed": {"sources": [{"path": "builtin:demo"}]},
                "corpus": {"sources": [{"format": "text", "path": str(Path(__file__))}]},
            },
            "resources": {
                "runs": str(folder),
                "workers": 2,
                "engines": {"augment": engine | {"concurrency": 8, "timeout_s": 2.0, "retries": 8}},
            },
        }
    )


def main() -> None:
    with Run(recipe(Path(sys.argv[1]), sys.argv[2])) as run:
        run.begin()
        segments = run.step("segments", make, Select(top_n=1))
        base = Model(Path(), "base", "base")
        run.step("ask", write_instructions, Augment(), model=base, segments=segments)


if __name__ == "__main__":
    try:
        main()
    except AskbackError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(error.exit_code) from None
