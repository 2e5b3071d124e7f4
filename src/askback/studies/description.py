"""Statistics of a run's data: the paper's tables of lengths and shares, diversity, copies, evaluation prompts."""

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Never

from askback.corpus.dedup import near_copies
from askback.evaluate.options import Describing
from askback.evaluate.parsed_verbs import parsed, parser
from askback.evaluate.verbs import RULES, count_verbs, verb_noun
from askback.execution.identity import file_fingerprint, recorded
from askback.execution.outcome import Counts
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.inputs.contamination import evaluation_prompts
from askback.records import Candidate, Example, Judgement
from askback.text.verbs import verbs

LOOKED_AT = 20_000
"""Largest number of pairs of a set, drawn by their ids, in which verbs, copies and prompts are searched."""

A_K = {"A_5": 4.5, "A_4": 4.0}
"""The paper's sets and their least scores (method.md 1.7), which the rubric's scale alone has."""
RUBRIC = "rubric"

Pair = Example | Candidate


def sources(options: Describing) -> dict[str, str]:
    """Return a fingerprint of every file of evaluation prompts, and the parser of verbs if there is one."""
    found = {path: file_fingerprint(Path(path)) for path in options.prompts}
    return found | ({"verbs": name} if (name := parser()) else {})


@recorded(version=3, sources=sources)
def describe(
    step: Step,
    options: Describing,
    *,
    seed: Records[Example] | None = None,
    candidates: Records[Candidate] | None = None,
    judgements: Records[Judgement] | None = None,
    chosen: Records[Example] | None = None,
) -> Records[Never]:
    """Describe, as far as they are made, the seed, the candidates of A_5, of A_4 and all, and what was chosen.

    In `step.json`, metrics: set → lengths in characters (method.md 1.8), verbs (4.3), the share of instructions that are
    near-copies of an earlier one, shares of languages, sources and licences, and how many pairs share 13 words in a row
    with an evaluation prompt.
    """
    sets: dict[str, list[Pair]] = {"seed": list(seed or ())}
    if candidates is not None:
        every = list(candidates)
        scores = {one.candidate_id: one.score or 0.0 for one in judgements or () if one.scorer == RUBRIC}
        for name, least in A_K.items():
            sets[name] = [one for one in every if scores.get(one.id, 0.0) >= least]
        sets |= {"chosen": list(chosen or ()), "all candidates": [*every]}
    found = {name: describe_set(pairs, options) for name, pairs in sets.items() if pairs}
    count = sum(map(len, sets.values()))
    return step.measured({"pairs": Counts(count, count)}, found)


def describe_set(pairs: list[Pair], options: Describing) -> dict[str, Any]:
    """Return the statistics of one set, as plain values."""
    sample = sorted(pairs, key=lambda one: one.id)[:LOOKED_AT]
    prompts = evaluation_prompts(options.prompts)
    found = {one.id for one in sample if prompts.found_in(one.instruction) or prompts.found_in(one.output)}
    return {
        "pairs": len(pairs),
        "instruction": lengths(one.instruction for one in pairs),
        "output": lengths(one.output for one in pairs),
        "looked_at": len(sample),
        "verbs": asdict(count_verbs(*find_verbs([one.instruction for one in sample]))),
        "near_copies": near_copies([one.instruction for one in sample], options.near_copy) / len(sample),
        **{name: shares(getattr(one.provenance, name) for one in pairs) for name in ("language", "source", "licence")},
        **({"evaluation_prompts": len(found)} if options.prompts else {}),
    }


def find_verbs(instructions: Sequence[str]) -> tuple[Iterator[tuple[str, str] | None], str]:
    """Return the verb and noun of each instruction, and the parser: spaCy's where installed, else rules."""
    if name := parser():
        return parsed(name, instructions), name
    known = verbs()[0]
    return (verb_noun(one, known) for one in instructions), RULES


def lengths(texts: Iterable[str]) -> dict[str, float]:
    """Return mean and standard deviation in characters."""
    sizes = [len(text) for text in texts]
    return {"mean": statistics.fmean(sizes), "sd": statistics.pstdev(sizes)}


def shares(values: Iterable[str], most: int = 10) -> dict[str, float]:
    """Return the share of each value, the most frequent first; those beyond `most` are "others", "" is "not stated"."""
    counts = Counter(value or "not stated" for value in values)
    found = {value: count / counts.total() for value, count in counts.most_common(most)}
    rest = 1 - sum(found.values())
    return {**found, "others": rest} if len(counts) > most else found
