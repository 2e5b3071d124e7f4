"""The demo's recipe with one's own documents, how long it takes here, and whether the documents are enough."""

import math
import re
from collections.abc import Sequence
from pathlib import Path

from askback.corpus.readers import reader
from askback.errors import InputError
from askback.execution.on_disk import step_record
from askback.execution.processes import Drain
from askback.execution.progress import Progress, duration
from askback.execution.shards import Records
from askback.methods import names
from askback.methods.humpback import make_corpus
from askback.plan import running
from askback.plan.measure import training_rate
from askback.recipe import DocumentFormat, RecipeFile
from askback.recipe.file import load_recipe
from askback.records import Segment

KNOWN_RATE, KNOWN_SECONDS = 330.0, 304.0
"""Tokens per second of the demo's own training on two cores, and how long the demo took on them."""
FORMATS: tuple[DocumentFormat, ...] = ("html", "markdown", "text", "pdf")
"""Formats that are looked for in a folder of one's own."""
LEAST = 24
"""Texts to ask about, and as many to measure on, with which the demo still means something."""


def load_demo(recipe: Path, docs: Path | None, settings: Sequence[str] | None = None) -> RecipeFile:
    """Return the demo's recipe, with a folder of documents in the place of this machine's documentation if one is given.

    Raises:
        InputError: there is no such folder, or no document of a known format in it.
    """
    import yaml

    changes = list(settings or ())
    if docs is not None:
        if not docs.is_dir():
            raise InputError(f"--docs {docs}: there is no such folder")
        suffixes = {format: reader(format).suffixes for format in FORMATS}
        found = [path.name.lower() for path in docs.rglob("*") if path.is_file()]
        here = [format for format in FORMATS if any(name.endswith(suffixes[format]) for name in found)]
        if not here:
            known = ", ".join(suffix for format in FORMATS for suffix in suffixes[format])
            raise InputError(f"--docs {docs}: no documents in it; looked for {known}")
        sources = [{"format": format, "path": str(docs.resolve())} for format in here]
        written = yaml.safe_dump(sources, default_flow_style=True, allow_unicode=True, width=math.inf).strip()
        name = re.sub(r"[^\w.-]+|^\W+", "-", docs.resolve().name, flags=re.ASCII).strip("-.")
        changes = [f"name=demo-{name or 'docs'}", f"recipe.corpus.sources={written}", *changes]
    return load_recipe(recipe, changes)


def expected(file: RecipeFile) -> str:
    """Measure how fast this machine trains, for some seconds, and return in words how long the demo will take on it."""
    with Drain(lambda _: None) as drain:
        rate = training_rate(file.recipe, Path(file.resources.runs) / file.name, drain)
    seconds = KNOWN_SECONDS * KNOWN_RATE / rate
    return f"This machine learns from {rate:,.0f} tokens a second: the whole will take about {duration(seconds)}."


def check_corpus(file: RecipeFile, progress: Progress) -> None:
    """Make the segments, and refuse to go on where they are too few to show anything.

    Raises:
        InputError: they are too few; the message says what became of the others.
    """
    folder = running.run(file, make_corpus, progress=progress)
    splits = [segment.split for segment in Records[Segment](folder / names.CORPUS, "")]
    asked = splits.count("train")
    if min(asked, len(splits) - asked) >= LEAST:
        return
    cut = step_record(folder / names.SEGMENTS)
    reasons = sorted(cut["reasons"].items(), key=lambda item: -item[1])[:4]
    why = ", ".join(f"{rule.partition('/')[2]} {count:,}" for rule, count in reasons)
    corpus = file.recipe.corpus
    raise InputError(
        f"{folder.name}: {asked} texts to ask about and {len(splits) - asked} to measure on are too few, {LEAST} of each "
        f"are needed. A text is a section of {corpus.min_chars:,} to {corpus.max_chars:,} characters, mostly prose; left "
        f"out were: {why or 'none'}. Give a folder with more documents, or see one of them with: askback corpus demo "
        "--explain FILE"
    )
