"""Seed pairs: instructions and outputs that people wrote (method.md 1.3)."""

from collections.abc import Sequence
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Final

from askback.errors import InputError
from askback.execution.forecast import Forecast, ForecastContext, Pairs, spread
from askback.execution.identity import file_fingerprint, recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.inputs.contamination import EvaluationPrompts, evaluation_prompts
from askback.inputs.rows import Rows, hub_rows, read_rows
from askback.recipe import HumanSet, RowSource, Seed, SeedSource
from askback.recipe.variables import hide
from askback.records import DRAWS, Candidate, Example, Provenance, Rejection, draw, exchange, record_id, reject
from askback.seed.readers import Pair, reader
from askback.seed.readers.fields import STAGE
from askback.text.words import normal

HELD_OUT: Final = "held-out"
TRAIN: Final = "train"


def sources(options: Seed) -> dict[str, str]:
    """Return a fingerprint of every file that the seed is read from or compared with; of a hub data set, its name."""
    return source_fingerprints(options.sources) | {
        f"decontaminate:{path}": file_fingerprint(Path(path)) for path in options.decontaminate
    }


def source_fingerprints(given: Sequence[RowSource]) -> dict[str, str]:
    """Return path → fingerprint of each source."""
    return {
        source.path: "hub" if source.path.startswith("hub:") else file_fingerprint(*_files(source.path))
        for source in given
    }


def forecast(options: Seed, context: ForecastContext) -> Forecast:
    """Read all pairs, as the step does, and show the first rows."""
    outcome = gather(options)
    with context.refusals.noted():
        check_sides(outcome, options)
    pairs = [(one.instruction, one.output) for one in outcome.kept]
    tried = tuple(pair for pair, one in zip(pairs, outcome.kept, strict=True) if one.split == HELD_OUT)
    made = Pairs(len(pairs) - len(tried), spread(pairs), len(tried), tried=tried)
    return Forecast(made, len(pairs), rows=tuple(map(hide, first_rows(options))))


@recorded(version=5, sources=sources, forecast=forecast)
def load_seed(step: Step, options: Seed) -> Records[Example]:
    """Read every source, keep each usable pair once, and split the pairs into training and held-out ones.

    Raises:
        InputError: a file is missing or unreadable, or one of the splits is empty.
    """
    outcome = gather(options)
    check_sides(outcome, options)
    splits = [example.split for example in outcome.kept]
    step.metrics = {"train": splits.count(TRAIN), "held_out": splits.count(HELD_OUT)}
    return step.write(Example, [outcome])


def check_sides(outcome: Outcome[Example], options: Seed) -> None:
    """Check that neither split is empty.

    Raises:
        InputError: one is.
    """
    splits = [example.split for example in outcome.kept]
    if TRAIN not in splits or HELD_OUT not in splits:
        paths = ", ".join(source.path for source in options.sources)
        raise InputError(
            f"{paths}: need seed pairs on both sides, found {splits.count(TRAIN)} to train on and "
            f"{splits.count(HELD_OUT)} held out of {sum(c.entered for c in outcome.counts.values())} read. "
            f"Dropped: {_dropped(outcome)}. Check format:, held_out: and the file."
        )


@recorded(version=4, sources=lambda source: sources(Seed(sources=[source])))
def load_pairs(step: Step, options: SeedSource, *, seed: Records[Example]) -> Records[Example]:
    """Read a file of pairs, held out unless `split` is "train"; pairs in the other split of the seed are rejected."""
    side = TRAIN if options.split == TRAIN else HELD_OUT
    outcome = gather(Seed(sources=[options.model_copy(update={"split": side})]))
    others = {normal(one.instruction) for one in seed if one.split != side}
    for one in outcome.take_back(STAGE):
        if normal(one.instruction) in others:
            detail = f"the seed has this instruction, and not as {side}"
            outcome.drop(reject(one.id, STAGE, "other-split", detail, uri=one.provenance.uri, text=one.instruction))
        else:
            outcome.keep(STAGE, one)
    return step.write(Example, [outcome])


@recorded(version=2, sources=lambda source: sources(Seed(sources=[source])), may_be_empty=True)
def load_set(step: Step, options: HumanSet, *, taught: Sequence[Records[Example | Candidate]]) -> Records[Example]:
    """Read pairs to measure models on, without those whose instruction a model may have learnt.

    Args:
        taught: all that could be trained on: the seed, of which held-out pairs do not matter, and the candidates.
    """
    outcome = gather(Seed(sources=[options.model_copy(update={"split": HELD_OUT})]))
    found = outcome.take_back(STAGE)
    prompts, learnt = EvaluationPrompts((one.id, one.instruction) for one in found), dict[str, str]()
    for records in taught:
        for pair in records:
            if isinstance(pair, Candidate) or pair.split == TRAIN:
                learnt |= {where: pair.provenance.uri for where, _, _ in prompts.all_in(pair.instruction)}
    for one in found:
        if one.id in learnt:
            detail = f"its instruction is like that of a pair to train on, {learnt[one.id]}"
            outcome.drop(reject(one.id, STAGE, "learnt", detail, uri=one.provenance.uri, text=one.instruction))
        else:
            outcome.keep(STAGE, one)
    return step.write(Example, [outcome])


def _dropped(outcome: Outcome[Example]) -> str:
    """Return in words how many pairs each rule dropped, with one of them."""
    counted = sorted(outcome.reasons.items(), key=lambda item: -item[1])
    numbers = ", ".join(f"{reason.partition('/')[2]} {count:,}" for reason, count in counted)
    example = next((f" (as {drop.uri} {drop.rule} {drop.detail})" for drop in outcome.dropped), "")
    return (numbers or "none") + example


def gather(options: Seed) -> Outcome[Example]:
    """Read all sources, held-out ones first, so that a pair in both splits is not trained on."""
    outcome = Outcome[Example]()
    seen: set[str] = set()
    for source in sorted(options.sources, key=lambda source: source.split != HELD_OUT):
        kept = 0
        read = reader(source.format).read
        for found in read(open_rows(source), options.language):
            dropped = found if isinstance(found, Rejection) else _unusable(found, options, seen)
            if dropped:
                outcome.drop(dropped)
                continue
            assert isinstance(found, Pair)
            if source.limit is not None and kept == source.limit:
                break
            outcome.keep(STAGE, _example(found, source, options))
            seen.add(normal(found.instruction))
            kept += 1
    return outcome


SHOWN = 3
"""Number of rows of a source that a plan shows."""
_SHOWN_CHARS = 70


def first_rows(options: Seed) -> list[str]:
    """Return a line for each of the first rows of every source: the pair in it, or why there is none."""
    lines = []
    for source in options.sources:
        found = reader(source.format).read(open_rows(source), options.language)
        lines += [_shown(one) for one in islice(found, SHOWN)]
    return lines


def _shown(found: Pair | Rejection) -> str:
    if isinstance(found, Rejection):
        return f"{found.uri}: {found.rule}: {found.detail}"
    return f"{found.where}: {_short(found.instruction)} → {_short(found.output)}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return repr(text if len(text) <= _SHOWN_CHARS else f"{text[: _SHOWN_CHARS - 1]}…")


def open_rows(source: RowSource) -> Rows:
    """Return the rows of a source's files or hub data set."""
    if source.path.startswith("hub:"):
        return hub_rows(source.path.removeprefix("hub:"))
    return (row for file in _files(source.path) for row in read_rows(file))


def _files(path: str) -> list[Path]:
    """Return the file at a source's path, or the files of an exported folder."""
    if path == "builtin:demo":
        return [Path(str(files("askback.seed") / "demo.jsonl"))]
    found = [Path(path)] if Path(path).is_file() else []
    if Path(path).is_dir():
        found = [file for split in ("train", "validation") for file in sorted(Path(path).glob(f"{split}.*"))]
    if not found:
        raise InputError(
            f"{path}: no such seed file. Give a .jsonl, .json or .parquet file, a folder that askback exported, "
            "builtin:demo or hub:NAME"
        )
    return found


def _unusable(pair: Pair, options: Seed, seen: set[str]) -> Rejection | None:
    """Return why a pair is not used, or None."""

    def drop(rule: str, detail: str) -> Rejection:
        return reject(record_id(pair.where), STAGE, rule, detail, uri=pair.where, text=pair.instruction)

    length = len(pair.output.strip())
    if not pair.instruction.strip() or not length:
        return drop("empty", "instruction or output is empty")
    if length < options.min_output_chars:
        return drop("too-short", f"output of {length} characters, at least {options.min_output_chars}")
    if length > options.max_output_chars:
        return drop("too-long", f"output of {length} characters, at most {options.max_output_chars}")
    if normal(pair.instruction) in seen:
        return drop("duplicate", "an earlier pair has this instruction")
    if options.decontaminate:
        found = evaluation_prompts(tuple(options.decontaminate)).found_in(pair.instruction)
        return drop("contaminated", found) if found else None
    return None


def _example(pair: Pair, source: SeedSource, options: Seed) -> Example:
    instruction, output = pair.instruction.strip(), pair.output.strip()
    id = record_id(instruction, output)
    split = source.split
    if split == "auto":
        split = HELD_OUT if draw(0, id) < options.held_out * DRAWS else TRAIN
    licence, language = pair.licence or source.licence, pair.language or options.language
    provenance = Provenance(pair.where, f"{source.format}:{source.path}", licence, language)
    return Example(id, exchange(instruction, output), provenance, "seed", split)
