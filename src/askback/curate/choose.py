"""The choice of candidates, with the rule for each that is not chosen. Pure: columns and options in, rules out."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from askback.curate.combine import Floats, places
from askback.inputs.remote import host
from askback.recipe import Select, Selection
from askback.text.similarity import NearCopies
from askback.text.words import word_set

ROUNDING = 1e-9
"""Tolerance for rounding errors of a share of a number: 0.07 of 100 is 7.000000000000001."""
LENGTH_BINS = 5
"""Number of quantiles by which lengths are matched."""
RULES = ("", "not-chosen", "not-needed", "near-copy", "source-cap", "licence-cap", "length-quota")
"""The rules of `choose`, by their numbers in its result."""
Places = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Pool(NamedTuple):
    """Candidates as columns, a value for each: ids in UTF-8, scores, NaN where one may not be chosen, and `looks_at`."""

    ids: NDArray[np.bytes_]
    scores: Floats
    looks: Mapping[str, Sequence[Any]]


def looks_at(candidates: Iterable[Any], options: Select) -> dict[str, list[Any]]:
    """Return what the choice depends on beside scores, as columns; only if it does, the tables of candidates are read.

    The length is in characters of the output, the source the site, folder or file that the document is from.
    """
    import pyarrow.compute as pc

    def turn(table: Any, from_last: int) -> Any:
        messages = table["messages"].combine_chunks()
        return messages.values.field("content").take(pc.subtract(messages.offsets[1:], from_last))

    def known(table: Any, name: str) -> Any:
        return pc.struct_field(table["provenance"], name).to_pylist()

    by = options.spread
    looks: dict[str, tuple[bool, Callable[[Any], Iterable[Any]]]] = {
        "instruction": (options.max_similarity is not None, lambda one: turn(one, 2).to_pylist()),
        "length": (options.match_lengths, lambda one: pc.utf8_length(turn(one, 1)).to_pylist()),
        "source": (bool(options.max_per_source) or by == "source", lambda one: map(source_of, known(one, "uri"))),
        "document": (by == "document", lambda one: known(one, "uri")),
        "licence": (options.max_per_licence is not None, lambda one: known(one, "licence")),
    }
    found: dict[str, list[Any]] = {name: [] for name, (asked, _) in looks.items() if asked}
    for table in candidates if found else ():
        for name, column in found.items():
            column += looks[name][1](table)
    return found


def source_of(uri: str) -> str:
    """Return the source of a document: the host of a web address, the file of a row, the folder of a file, else `uri`."""
    if site := host(uri):
        return site.removeprefix("www.")
    return uri.partition("#")[0] if "#" in uri else uri.rpartition("/")[0] or uri


def choose(pool: Pool, options: Select, total: int, kept: Flags) -> tuple[NDArray[np.int8], dict[int, str]]:
    """Return the number of the rule (`RULES`) that skips each candidate, 0 where it is chosen or has no score, and place →
    what was found, of those that a rule beyond the score skips. The order of the candidates does not matter.

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
        kept: whether people want each, also some without a score: they are chosen before all others, and no rule skips
            them.
    """
    ranked = np.lexsort((pool.ids, -pool.scores))[: np.count_nonzero(~np.isnan(pool.scores))]
    least = least_score(options)
    reached = pool.scores >= (-math.inf if least is None else least)
    wanted = _wanted(len(ranked), int(np.count_nonzero(reached)), options, total)
    chosen = int(np.count_nonzero(kept))
    if options.top_n is None and options.top_fraction is None:
        wanted += chosen - int(np.count_nonzero(reached & kept))
    skipping = _rules(pool, ranked, options, wanted)
    for one in map(int, ranked[kept[ranked]]):
        for _, _, note in skipping:
            note(one)
    rules, details = np.zeros(len(pool.ids), np.int8), dict[int, str]()
    rules[ranked] = RULES.index("not-chosen")
    if least is not None:
        rules[reached] = RULES.index("not-needed")
    rules[kept] = 0
    order = _in_turns(pool, ranked, options.spread)
    for one in map(int, order[reached[order] & ~kept[order]]):
        if chosen >= wanted:
            break
        rule, detail = next(((name, why) for name, skips, _ in skipping if (why := skips(one))), ("", ""))
        rules[one] = RULES.index(rule)
        if rule:
            details[one] = detail
            continue
        chosen += 1
        for _, _, note in skipping:
            note(one)
    return rules, details


def least_score(options: Select) -> float | None:
    """Return the threshold on the scale that one round uses; None where there is no threshold."""
    least = options.min_score if options.min_score is not None else options.min_probability
    assert not isinstance(least, list)
    return least


def quality_bins(scores: Floats, bins: int) -> NDArray[np.int64]:
    """Return each candidate's quantile of the score, from 1 to `bins`; the quantiles are equally large but for ties.

    Tied scores share the bin of their mean place; the highest score is always in the highest bin, whose tag is given at
    inference.
    """
    found = 1 + ((places(scores) - 1) / 2 * bins / max(1, len(scores))).astype(np.int64)
    return np.where(scores == scores.max(initial=-math.inf), bins, found)


def _wanted(scored: int, reached: int, options: Select, total: int) -> int:
    """Return the number of candidates to choose if no other rule skips any, of those scored, and that reach the least."""
    most, fraction = options.top_n, options.top_fraction
    assert not isinstance(most, list) and not isinstance(fraction, list)
    if least_score(options) is not None:
        until = options.until if isinstance(options, Selection) else None
        return min(reached, until or scored)
    if most is not None:
        return min(most, scored)
    # Rounded up: any fraction of something is something.
    return min(math.ceil(fraction * total - ROUNDING), scored) if fraction is not None else scored


def _in_turns(pool: Pool, ranked: Places, spread: str) -> Places:
    if spread == "none":
        return ranked
    before: Counter[str] = Counter()

    def turn(group: str) -> int:
        before[group] += 1
        return before[group]

    turns = np.fromiter((turn(pool.looks[spread][one]) for one in ranked), np.int64, len(ranked))
    return ranked[np.argsort(turns, kind="stable")]  # stable: by score within a turn


Rule = tuple[str, Callable[[int], str], Callable[[int], None]]
"""The rule's name; a function that returns why a candidate is skipped, "" if it is not; and one that is called with each
chosen candidate."""


def _rules(pool: Pool, ranked: Places, options: Select, wanted: int) -> list[Rule]:
    rules = []
    if options.max_similarity is not None:
        rules.append(_near_copy(pool, ranked, options.max_similarity))
    for kind, limit in (("source", options.max_per_source), ("licence", options.max_per_licence)):
        if limit is not None:
            most = int(limit) if limit >= 1 else max(1, math.floor(limit * wanted + ROUNDING))
            rules.append(_cap(kind, pool.looks[kind], most))
    if options.match_lengths:
        rules.append(_length_quota(pool, ranked, wanted))
    return rules


def _near_copy(pool: Pool, ranked: Places, threshold: float) -> Rule:
    texts = pool.looks["instruction"]
    copies = NearCopies(threshold, Counter(word for one in ranked for word in word_set(texts[one])))

    def detail(one: int) -> str:
        found = copies.nearest(texts[one])
        return f"its instruction is like that of {found[0]}, Jaccard {found[1]:.2f}" if found else ""

    return "near-copy", detail, lambda one: copies.add(pool.ids[one].decode(), texts[one])


def _cap(kind: str, names: Sequence[str], most: int) -> Rule:
    counts: Counter[str] = Counter()

    def detail(one: int) -> str:
        return f"{most} of {kind} {names[one]!r} are chosen" if counts[names[one]] >= most else ""

    return f"{kind}-cap", detail, lambda one: counts.update([names[one]])


def _length_quota(pool: Pool, ranked: Places, wanted: int) -> Rule:
    lengths = pool.looks["length"]
    ordered = ranked[np.lexsort((pool.ids[ranked], np.array(lengths)[ranked]))]
    fifth = np.zeros(len(lengths), np.int8)
    fifth[ordered] = np.arange(len(ordered)) * LENGTH_BINS // max(1, len(ordered))
    sizes = np.bincount(fifth[ordered], minlength=LENGTH_BINS).tolist()
    ends = [sum(sizes[: bin + 1]) * wanted / max(1, len(ordered)) for bin in range(LENGTH_BINS)]
    quotas = [round(end) - round(start) for start, end in zip([0.0, *ends], ends, strict=False)]
    counts: Counter[int] = Counter()

    def detail(one: int) -> str:
        quota = quotas[fifth[one]]
        return f"{quota} of about its {lengths[one]:,} characters are chosen" if counts[fifth[one]] >= quota else ""

    return "length-quota", detail, lambda one: counts.update([fifth[one]])
