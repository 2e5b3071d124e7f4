"""The choice of candidates, with the reason for each that is not chosen. Pure: scores and options in, reasons out."""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from askback.inputs.remote import host
from askback.recipe import Select, Selection
from askback.records import Candidate
from askback.text.similarity import NearCopies
from askback.text.words import word_set

ROUNDING = 1e-9
"""Tolerance for rounding errors of a share of a number: 0.07 of 100 is 7.000000000000001."""
LENGTH_BINS = 5
"""Number of quantiles by which lengths are matched."""


class Scored(NamedTuple):
    """The properties of a candidate that the choice depends on. `length` is the number of characters of the output,
    `source` the site, folder or file that `document` is from."""

    id: str
    score: float
    instruction: str
    length: int
    source: str
    document: str
    licence: str


def scored(candidate: Candidate, score: float) -> Scored:
    """Return the properties of a candidate that the choice depends on."""
    uri, licence = candidate.provenance.uri, candidate.provenance.licence
    return Scored(candidate.id, score, candidate.instruction, len(candidate.output), source_of(uri), uri, licence)


def source_of(uri: str) -> str:
    """Return the source of a document: the host of a web address, the file of a row, the folder of a file, else `uri`."""
    if site := host(uri):
        return site.removeprefix("www.")
    return uri.partition("#")[0] if "#" in uri else uri.rpartition("/")[0] or uri


def choose(
    candidates: Sequence[Scored], options: Select, total: int, kept: Collection[str] = ()
) -> dict[str, tuple[str, str]]:
    """Return (rule, detail) for each candidate that is not chosen, by id. The order of `candidates` does not matter.

    Candidates are visited from the highest score down, ties by id; with `spread`, the best of each source or document
    before the second of any. The first of these rules that holds skips a candidate, else it is chosen:

    1. "not-chosen": the score is below `min_score` or `min_probability`, or the wanted number is chosen already; where that
       is `until`, and the score is not below, "not-needed";
    2. "near-copy": the instruction is too similar to one chosen before (`max_similarity`);
    3. "source-cap", "licence-cap": the largest number from the source or licence is chosen already;
    4. "length-quota": the quota of the output's fifth of lengths is filled (`match_lengths`).

    A skipped candidate's place goes to the next best; with `match_lengths`, to the next best of its fifth.

    Departure: the paper has the threshold only; a small model's absolute scale is off, its order less so.

    Args:
        total: number of candidates that `top_fraction` is a fraction of.
        kept: ids of those that people want, also some without a score: they are chosen before all others, and no rule
            skips them.
    """
    ranked = sorted(candidates, key=lambda one: (-one.score, one.id))
    least = least_score(options)
    first = [one for one in ranked if one.id in kept]
    wanted = _wanted(ranked, options, total)
    if options.top_n is None and options.top_fraction is None:
        wanted += len(kept) - sum(least is None or one.score >= least for one in first)
    rules = _rules(ranked, options, wanted)
    reasons: dict[str, tuple[str, str]] = {}
    chosen = len(kept)
    for one in first:
        for _, _, note in rules:
            note(one)
    for one in _in_turns(ranked, options.spread):
        if one.id in kept:
            continue
        if (least is not None and one.score < least) or chosen >= wanted:
            reached = least is not None and one.score >= least
            reasons[one.id] = "not-needed" if reached else "not-chosen", f"score {one.score:.3f}"
            continue
        found = next(((name, detail) for name, allows, _ in rules if (detail := allows(one))), None)
        if found:
            reasons[one.id] = found[0], f"score {one.score:.3f}; {found[1]}"
            continue
        chosen += 1
        for _, _, note in rules:
            note(one)
    return reasons


def least_score(options: Select) -> float | None:
    """Return the threshold on the scale that one round uses; None where there is no threshold."""
    least = options.min_score if options.min_score is not None else options.min_probability
    assert not isinstance(least, list)
    return least


def quality_bins(scores: dict[str, float], bins: int) -> dict[str, str]:
    """Return each candidate's quantile of the score, as in "3 of 5"; the quantiles are equally large but for ties.

    Tied scores share the bin of their mean place; the highest score is always in the highest bin, whose tag is given at
    inference.
    """
    ordered = sorted(scores.values())
    places = {score: (bisect_left(ordered, score) + bisect_right(ordered, score) - 1) / 2 for score in set(ordered)}
    found = {score: 1 + int(place * bins / len(ordered)) for score, place in places.items()}
    return {id: f"{bins if score == ordered[-1] else found[score]} of {bins}" for id, score in scores.items()}


def _wanted(ranked: Sequence[Scored], options: Select, total: int) -> int:
    """Return the number of candidates to choose if no other rule skips any."""
    least, most, fraction = least_score(options), options.top_n, options.top_fraction
    assert not isinstance(most, list) and not isinstance(fraction, list)
    if least is not None:
        until = options.until if isinstance(options, Selection) else None
        return min(sum(one.score >= least for one in ranked), until or len(ranked))
    if most is not None:
        return min(most, len(ranked))
    # Rounded up: any fraction of something is something.
    return min(math.ceil(fraction * total - ROUNDING), len(ranked)) if fraction is not None else len(ranked)


def _in_turns(ranked: Sequence[Scored], spread: str) -> Iterable[Scored]:
    if spread == "none":
        return ranked
    before: Counter[str] = Counter()
    turns = []
    for one in ranked:
        group = getattr(one, spread)
        turns.append((before[group], one))
        before[group] += 1
    return [one for _, one in sorted(turns, key=lambda turn: turn[0])]  # stable: by score within a turn


Rule = tuple[str, Callable[[Scored], str], Callable[[Scored], None]]
"""The rule's name; a function that returns why a candidate is skipped, "" if it is not; and one that is called with each
chosen candidate."""


def _rules(ranked: Sequence[Scored], options: Select, wanted: int) -> list[Rule]:
    rules = []
    if options.max_similarity is not None:
        rules.append(_near_copy(ranked, options.max_similarity))
    for kind, limit in (("source", options.max_per_source), ("licence", options.max_per_licence)):
        if limit is not None:
            most = int(limit) if limit >= 1 else max(1, math.floor(limit * wanted + ROUNDING))
            rules.append(_cap(kind, most))
    if options.match_lengths:
        rules.append(_length_quota(ranked, wanted))
    return rules


def _near_copy(ranked: Sequence[Scored], threshold: float) -> Rule:
    copies = NearCopies(threshold, Counter(word for one in ranked for word in word_set(one.instruction)))

    def detail(one: Scored) -> str:
        found = copies.nearest(one.instruction)
        return f"its instruction is like that of {found[0]}, Jaccard {found[1]:.2f}" if found else ""

    return "near-copy", detail, lambda one: copies.add(one.id, one.instruction)


def _cap(kind: str, most: int) -> Rule:
    counts: Counter[str] = Counter()

    def detail(one: Scored) -> str:
        name = getattr(one, kind)
        return f"{most} of {kind} {name!r} are chosen" if counts[name] >= most else ""

    return f"{kind}-cap", detail, lambda one: counts.update([getattr(one, kind)])


def _length_quota(ranked: Sequence[Scored], wanted: int) -> Rule:
    ordered = sorted(ranked, key=lambda one: (one.length, one.id))
    fifth = {one.id: place * LENGTH_BINS // len(ordered) for place, one in enumerate(ordered)}
    sizes = Counter(fifth.values())
    ends = [sum(sizes[below] for below in range(bin + 1)) * wanted / max(1, len(ordered)) for bin in range(LENGTH_BINS)]
    quotas = [round(end) - round(start) for start, end in zip([0.0, *ends], ends, strict=False)]
    counts: Counter[int] = Counter()

    def detail(one: Scored) -> str:
        full = counts[fifth[one.id]] >= quotas[fifth[one.id]]
        return f"{quotas[fifth[one.id]]} of about its {one.length:,} characters are chosen" if full else ""

    return "length-quota", detail, lambda one: counts.update([fifth[one.id]])
