"""Self-curation, second half: choose the candidates to train on, without a model, in seconds (method.md 1.7).

What the choice depends on is held in columns, and records for one file of examples at a time: ten million take a few GB.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from askback.curate.agreement import agreement
from askback.curate.choose import RULES, Flags, Pool, choose, least_score, looks_at, quality_bins
from askback.curate.combine import Floats
from askback.curate.judged import Judged, read_judged
from askback.curate.label_file import Verdict, pair_of
from askback.curate.labels import labels_fingerprint, verdicts
from askback.curate.thresholds import forecast
from askback.errors import EmptyStep, InputError
from askback.execution.identity import recorded
from askback.execution.outcome import Counts, Outcome, drawn
from askback.execution.shards import Records, columns
from askback.execution.step import Step
from askback.recipe import Select, Selection
from askback.records import Candidate, Example, Judgement, Rejection, fail, reject, schema

STAGE = "candidates"
PIECE = 20_000
"""Least number of examples in a file but the last, as all of a file are held in memory."""
WHY = (*RULES, "unscored", "not-helped", "reviewed")
"""Why a candidate is not chosen, by the number in `Decided.why`; 0 is chosen."""
UNSCORED, NOT_HELPED, REVIEWED = range(len(RULES), len(WHY))


Before = tuple[()] | tuple[Records[Judgement], Records[Example]]
"""The judgements and chosen examples of the round before; () for the first round."""


def _label_files(options: Select) -> dict[str, str]:
    return {options.labels: labels_fingerprint(Path(options.labels))} if options.labels else {}


@recorded(version=7, forecast=forecast, sources=_label_files)
def select(
    step: Step, options: Select, *, candidates: Records[Candidate], judgements: Records[Judgement], before: Before = ()
) -> Records[Example]:
    """Keep the candidates that `options` chooses, as examples; the others are rejected with their rule and score.

    What people say of a pair goes (`options.labels`): one that they want is chosen, in the text that they made of it, and
    one that they do not want is dropped ("reviewed"). Of the others, candidates without a score fail ("unscored"), and
    those whose instruction does not help are dropped ("not-helped"); then come the rules of `choose`. In `step.json`,
    metrics: `agreement` with the round before; `reviewed`, how many pairs people kept, edited and dropped.

    Args:
        options: options of one round (`Select.of_round`).

    Raises:
        EmptyStep: no candidate is chosen; the message describes the scores.
        InputError: more than `max_unscored` of the candidates have no score, or fewer than `bins` are kept.
    """
    found = _decided(options, [candidates], [judgements])
    scores = found.judged.scores
    scored = found.chosen & ~np.isnan(scores)
    if options.bins and 0 < (kept := int(np.count_nonzero(scored))) < options.bins:
        raise InputError(
            f"{candidates.folder}: {kept} candidates are too few for the {options.bins} of select.bins; give more "
            "documents, or fewer bins"
        )
    if not found.chosen.any():
        eligible = scores[found.why < UNSCORED]
        raise EmptyStep(f"{step.folder}: {none_chosen(eligible, options, Counter(found.reasons()))}")
    qualities = np.full(len(found.why), options.bins or 0)
    if options.bins:
        qualities[scored] = quality_bins(scores[scored], options.bins)
    if isinstance(options, Selection) and options.until is not None:
        step.metrics["wanted"] = options.until
    if before:
        earlier = read_judged([before[0]], found.ids, options).scores
        chosen_before = np.isin(found.ids, _ids([before[1]], Example))
        step.metrics["agreement"] = agreement(earlier, scores, chosen_before, found.chosen)
    if options.labels:
        wanted = [one for one in found.said.values() if one.keep]
        edited, dropped = sum(bool(one.edited) for one in wanted), len(found.said) - len(wanted)
        step.metrics["reviewed"] = {"kept": len(wanted), "edited": edited, "dropped": dropped}
        step.progress.say(f"{step.name}: {len(found.said):,} of {found.labelled:,} labelled pairs are candidates")
    return step.write(Example, _outcomes(candidates, found, qualities, options))


def count_chosen(
    options: Select, candidates: Sequence[Records[Candidate]], judgements: Sequence[Records[Judgement]]
) -> int:
    """Return how many of the candidates so far `select` would choose.

    Raises:
        InputError: more than `max_unscored` of them have no score.
    """
    return int(np.count_nonzero(_decided(options, candidates, judgements).chosen))


@dataclass(frozen=True)
class Decided:
    """What becomes of each candidate, by its place.

    `ids` are in UTF-8; `labelled` is the number of pairs of which people say what they want, `said` what they want of the
    candidates among these; `why` are numbers of `WHY`, and `skipped` what `choose` found.
    """

    ids: NDArray[np.bytes_]
    judged: Judged
    labelled: int
    said: Mapping[int, Verdict]
    why: NDArray[np.int8]
    skipped: Mapping[int, str]

    @property
    def chosen(self) -> Flags:
        """Whether each is chosen."""
        found: Flags = self.why == 0
        return found

    def reasons(self) -> dict[str, int]:
        """Return the number of candidates that each rule drops, by "stage/rule", in the order they are first met."""
        rules, first, counts = np.unique(self.why, return_index=True, return_counts=True)
        order = (at for at in np.argsort(first) if rules[at])
        return {f"{STAGE}/{WHY[rules[at]]}": int(counts[at]) for at in order}

    def sample(self) -> Flags:
        """Return whether each is among those not chosen that are written (`Outcome`)."""
        found = np.zeros(len(self.why), bool)
        for rule in range(1, len(WHY)):
            places = np.flatnonzero(self.why == rule).tolist()
            found[drawn(places, lambda place: self.ids[place].decode())] = True
        return found

    def rejection(self, place: int, candidate: Candidate) -> Rejection:
        """Return the reason that a candidate is not chosen."""
        rule = self.why[place]
        about = {"uri": candidate.provenance.uri, "text": candidate.instruction}
        if rule == UNSCORED:
            return fail(candidate.id, STAGE, "unscored", self.judged.why.get(candidate.id, ""), **about)
        if rule == REVIEWED:
            detail = f"dropped by {', '.join(self.said[place].by)}"
        elif rule == NOT_HELPED:
            detail = f"loss {self.judged.given[place]:.3f} with the instruction, {self.judged.alone[place]:.3f} without"
        else:
            detail = "; ".join(filter(None, (f"score {self.judged.scores[place]:.3f}", self.skipped.get(place))))
        return reject(candidate.id, STAGE, WHY[rule], detail, **about)


def _decided(
    options: Select, candidates: Sequence[Records[Candidate]], judgements: Sequence[Records[Judgement]]
) -> Decided:
    """Decide of each candidate."""
    ids = _ids(candidates, Candidate)
    judged = read_judged(judgements, ids, options)
    unscored = np.isnan(judged.scores)
    _check_unscored(judgements[-1].folder, unscored, judged.why, options.max_unscored)
    people = verdicts(Path(options.labels)) if options.labels else {}
    said = _said_of((one for part in candidates for one in part), people)
    why = np.where(unscored, UNSCORED, 0).astype(np.int8)
    if options.drop_unhelpful:
        why[judged.given >= judged.alone] = NOT_HELPED
    wanted = np.zeros(len(why), bool)
    for place, verdict in said.items():
        why[place], wanted[place] = 0 if verdict.keep else REVIEWED, verdict.keep
    scores = np.where(why == 0, judged.scores, np.nan)
    looks = looks_at((table for part in candidates for table in part.tables()), options)
    rules, skipped = choose(Pool(ids, scores, looks), options, len(why), wanted)
    return Decided(ids, judged, len(people), said, np.maximum(why, rules), skipped)


def _said_of(candidates: Iterable[Candidate], people: Mapping[str, Verdict]) -> dict[int, Verdict]:
    """Return place → what people want of a candidate, of those that they have labelled."""
    about = ((place, people.get(pair_of(one.messages))) for place, one in enumerate(candidates if people else ()))
    return {place: verdict for place, verdict in about if verdict}


def _ids(records: Sequence[Records[Any]], kind: type) -> NDArray[np.bytes_]:
    """Return the ids of records in UTF-8, of which ten million take 160 MB."""
    return np.array(columns(records, kind, "id")["id"].cast("binary").to_pylist(), np.bytes_)


def _outcomes(
    candidates: Records[Candidate], found: Decided, qualities: NDArray[np.int64], options: Select
) -> Iterator[Outcome[Example]]:
    """Yield the outcome in pieces; the last has those that are not chosen."""
    import pyarrow as pa

    tables, places = [schema(Example).empty_table()], np.flatnonzero(found.chosen)
    for table in candidates.tables(found.chosen):
        if (size := sum(map(len, tables))) >= PIECE:
            yield Outcome(table=pa.concat_tables(tables), counts={STAGE: Counts(size, size)})
            tables = []
        here, places = np.split(places, [len(table)])
        quality = [f"{number} of {options.bins}" if options.bins else "" for number in qualities[here]]
        tables.append(_examples(table, found.judged.scores[here], quality, [found.said.get(one) for one in here]))
    sample, size, reasons = found.sample(), sum(map(len, tables)), found.reasons()
    dropped = list(map(found.rejection, np.flatnonzero(sample).tolist(), candidates.picked(sample)))
    failed, lost = reasons.get(f"{STAGE}/unscored", 0), sum(reasons.values())
    counts = {STAGE: Counts(size + lost, size, lost - failed, failed)}
    yield Outcome(dropped=dropped, counts=counts, reasons=reasons, table=pa.concat_tables(tables))


def _examples(chosen: Any, scores: Floats, qualities: list[str], said: list[Verdict | None]) -> Any:
    """Return chosen candidates as a table of examples; those that people want, in the text that they made of them."""
    import pyarrow as pa

    messages = chosen["messages"]
    if any(one and one.edited for one in said):
        turns = zip(said, messages.to_pylist(), strict=True)
        messages = [list(map(asdict, one.edited)) if one and one.edited else own for one, own in turns]
    columns = [chosen["id"], messages, chosen["provenance"], ["augmented"] * len(said), ["train"] * len(said)]
    reviewed = [one is not None for one in said]
    columns += [pa.array(scores, from_pandas=True), qualities, reviewed, [""] * len(said)]
    return pa.table(dict(zip(schema(Example).names, columns, strict=True)), schema=schema(Example))


def _check_unscored(folder: Path, missing: Flags, why: Mapping[str, str], allowed: float) -> None:
    unscored = int(np.count_nonzero(missing))
    if unscored > allowed * len(missing):
        often, count = Counter(why.values()).most_common(1)[0] if why else ("not stated", unscored)
        raise InputError(
            f"{folder}: {unscored:,} of {len(missing):,} candidates have no score, more than the share of "
            f"{allowed} that select.max_unscored allows. The reason of {count:,} of them: {often}. All are in the raw "
            "judgements there."
        )


WOULD_CHOOSE = (0.5, 0.2, 0.1, 0.05)
"""Shares of the candidates whose thresholds an error names where the recipe's threshold chooses none."""


def none_chosen(scores: Floats, options: Select, reasons: Counter[str]) -> str:
    """Return the message that no candidate is chosen: the rules, the spread of scores, what other thresholds choose."""
    why = (
        ", ".join(f"{reason.partition('/')[2]} {count:,}" for reason, count in reasons.most_common()) or "none came in"
    )
    message = f"none of {sum(reasons.values()):,} candidates is chosen ({why})"
    name = "min_score" if options.min_score is not None else "min_probability"
    if not len(scores) or least_score(options) is None:
        return f"{message}. Read the judgements, and change score or select"
    ordered = np.sort(scores)
    would = [
        f"{at:.2f} would choose {np.count_nonzero(ordered >= at):,}"
        for share in WOULD_CHOOSE
        if (at := ordered[min(len(ordered) - 1, int((1 - share) * len(ordered)))])
    ]
    return (
        f"{message}: select.{name} is {least_score(options)}, and the scores go from {ordered[0]:.2f} to "
        f"{ordered[-1]:.2f}, half of them below {ordered[len(ordered) // 2]:.2f}. {', '.join(dict.fromkeys(would))}. Give "
        f"a lower {name}, or top_fraction or top_n; nothing else is made again"
    )
