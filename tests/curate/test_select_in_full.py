"""The step against a plain reference, which holds every candidate and judgement as it is: the same in every detail."""

import json
import math
import random
import statistics
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from askback.curate import select as step_file
from askback.curate.choose import LENGTH_BINS, ROUNDING, source_of
from askback.curate.label_file import Verdict, pair_of
from askback.curate.labels import verdicts
from askback.curate.select import count_chosen, none_chosen, select
from askback.errors import EmptyStep, InputError
from askback.execution.outcome import SAMPLED, sampled
from askback.execution.run import Run
from askback.execution.shards import Records, rejections, write_records
from askback.recipe import RecipeFile, Select, Selection
from askback.records import (
    UNSCORED,
    Candidate,
    Example,
    Judgement,
    Provenance,
    Rejection,
    exchange,
    fail,
    record_id,
    reject,
)
from askback.text.words import word_set

Scores = dict[str, float | None]


def ranks_of(scores: Scores) -> dict[str, float]:
    own = [score for score in scores.values() if score is not None]
    return {
        id: (sum(other < score for other in own) + sum(other <= score for other in own)) / (2 * len(own))
        for id, score in scores.items()
        if score is not None
    }


def scores_of(judgements: list[Judgement], options: Select) -> Scores:
    by_scorer: dict[str, Scores] = defaultdict(dict)
    for one in judgements:
        level = one.distribution[-1] if one.distribution else None
        by_scorer[one.scorer][one.candidate_id] = one.score if options.min_probability is None else level
    weights = {name: w for name, w in (options.weights or dict.fromkeys(by_scorer, 1.0)).items() if w > 0}
    ids = dict.fromkeys(one.candidate_id for one in judgements)
    if len(weights) == 1:
        return {id: by_scorer[next(iter(weights))].get(id) for id in ids}
    ranks = {name: ranks_of(by_scorer[name]) for name in weights}
    return {
        id: math.exp(sum(w * math.log(ranks[name][id]) for name, w in weights.items()) / sum(weights.values()))
        if all(id in ranks[name] for name in weights)
        else None
        for id in ids
    }


class Rules:
    """The rules beyond the score, each a look at all that was chosen so far."""

    def __init__(self, ranked: list[Candidate], options: Select, wanted: int) -> None:
        self.options, self.wanted, self.chosen = options, wanted, list[Candidate]()
        ordered = sorted(ranked, key=lambda one: (len(one.output), one.id))
        self.fifth = {one.id: place * LENGTH_BINS // len(ordered) for place, one in enumerate(ordered)}
        ends = [sum(f <= bin for f in self.fifth.values()) * wanted / max(1, len(ordered)) for bin in range(-1, 5)]
        self.quotas = [round(ends[bin + 1]) - round(ends[bin]) for bin in range(LENGTH_BINS)]

    def skips(self, one: Candidate) -> tuple[str, str] | None:
        """Return the first rule that skips a candidate, and why."""
        if self.options.max_similarity is not None:
            mine = word_set(one.instruction)
            likeness = [len(mine & of) / len(mine | of) for of in (word_set(c.instruction) for c in self.chosen)]
            if likeness and (most := max(likeness)) >= self.options.max_similarity:
                return (
                    "near-copy",
                    f"its instruction is like that of {self.chosen[likeness.index(most)].id}, Jaccard {most:.2f}",
                )
        limits = {"source": self.options.max_per_source, "licence": self.options.max_per_licence}
        for kind, limit in limits.items():
            if limit is not None:
                most = int(limit) if limit >= 1 else max(1, math.floor(limit * self.wanted + ROUNDING))
                if sum(group(c, kind) == group(one, kind) for c in self.chosen) >= most:
                    return f"{kind}-cap", f"{most} of {kind} {group(one, kind)!r} are chosen"
        if self.options.match_lengths:
            fifth = self.fifth[one.id]
            quota, size = self.quotas[fifth], len(one.output)
            if sum(self.fifth[c.id] == fifth for c in self.chosen if c.id in self.fifth) >= quota:
                return "length-quota", f"{quota} of about its {size:,} characters are chosen"
        return None


def group(one: Candidate, kind: str) -> str:
    about = one.provenance
    return {"source": source_of(about.uri), "document": about.uri, "licence": about.licence}[kind]


def chosen_by(able: list[Candidate], scores: Scores, options: Select, total: int, kept: set[str]) -> dict[str, Any]:
    """Return (rule, detail) of each that is not chosen, by id."""
    score = {one.id: scores[one.id] or 0.0 for one in able}
    ranked = sorted(able, key=lambda one: (-score[one.id], one.id))
    least: Any = options.min_score if options.min_score is not None else options.min_probability
    reach = {one.id for one in able if least is None or score[one.id] >= least}
    most: Any = options.top_n
    until = options.until if isinstance(options, Selection) else None
    if least is not None:
        most = min(len(reach), until or len(able))
    elif most is None:
        fraction: Any = options.top_fraction
        most = len(able) if fraction is None else math.ceil(fraction * total - ROUNDING)
    wanted = min(most, len(able))
    if options.top_n is None and options.top_fraction is None:
        wanted += len(kept - reach)
    turns: Counter[str] = Counter()
    visits = []
    for one in ranked:
        name = group(one, options.spread) if options.spread != "none" else one.id
        visits.append((turns[name], one))
        turns[name] += 1
    rules = Rules(ranked, options, wanted)
    rules.chosen += [one for one in ranked if one.id in kept]
    count, reasons = len(kept), {}
    for _, one in sorted(visits, key=lambda visit: visit[0]):
        shown = f"score {score[one.id]:.3f}"
        if one.id in kept:
            continue
        if one.id not in reach or count >= wanted:
            reasons[one.id] = "not-needed" if least is not None and one.id in reach else "not-chosen", shown
        elif found := rules.skips(one):
            reasons[one.id] = found[0], f"{shown}; {found[1]}"
        else:
            count += 1
            rules.chosen.append(one)
    return reasons


def bins_of(scores: dict[str, float], bins: int) -> dict[str, str]:
    own, found = list(scores.values()), {}
    for id, score in scores.items():
        place = (sum(one < score for one in own) + sum(one <= score for one in own) - 1) / 2
        found[id] = f"{bins if score == max(own) else 1 + int(place * bins / len(own))} of {bins}"
    return found


class Expected:
    """What the step should do of these."""

    def __init__(
        self, options: Select, candidates: list[Candidate], judgements: list[Judgement], said: dict[str, Verdict]
    ) -> None:
        self.scores = scores_of(judgements, options)
        wanted = {id for id, verdict in said.items() if verdict.keep}
        reasons: dict[str, tuple[str, str]] = {}
        for one in judgements:
            if options.drop_unhelpful and one.scorer == "ifd" and one.losses and one.losses[0] >= one.losses[1]:
                detail = f"loss {one.losses[0]:.3f} with the instruction, {one.losses[1]:.3f} without"
                reasons[one.candidate_id] = "not-helped", detail
        for id, verdict in said.items():
            if not verdict.keep:
                reasons[id] = "reviewed", f"dropped by {', '.join(verdict.by)}"
        for id in wanted:
            reasons.pop(id, None)
        why: dict[str, str] = {}
        for one in judgements:
            for text in one.raw if one.score is None else ():
                if text.startswith(UNSCORED):
                    why.setdefault(one.candidate_id, f"{one.scorer}: {text.removeprefix(UNSCORED)}")
        able = [one for one in candidates if self.scores[one.id] is not None and one.id not in reasons]
        self.able = [self.scores[one.id] or 0.0 for one in able]
        reasons |= chosen_by(able, self.scores, options, len(self.scores), wanted)
        left = {one.id: self.scores[one.id] or 0.0 for one in able if one.id not in reasons}
        qualities = bins_of(left, options.bins) if options.bins else {}
        highest = f"{options.bins} of {options.bins}" if options.bins else ""
        self.kept: list[Example] = []
        self.dropped: list[Rejection] = []
        for pair in candidates:
            about = {"uri": pair.provenance.uri, "text": pair.instruction}
            if pair.id in reasons:
                self.dropped.append(reject(pair.id, "candidates", *reasons[pair.id], **about))
            elif self.scores[pair.id] is None and pair.id not in wanted:
                self.dropped.append(fail(pair.id, "candidates", "unscored", why.get(pair.id, ""), **about))
            else:
                mine = pair.id in wanted
                messages = (mine and said[pair.id].edited) or pair.messages
                about_it = (self.scores[pair.id], qualities.get(pair.id, highest if mine else ""), mine)
                self.kept.append(Example(pair.id, messages, pair.provenance, "augmented", "train", *about_it))


def drawn_candidates(draw: random.Random, count: int) -> list[Candidate]:
    found = []
    for n in range(count):
        about = Provenance(f"https://{draw.choice('xyz')}.org/{draw.randint(0, 9)}", "html", draw.choice(["", "MIT"]))
        ask = " ".join(draw.choices("how do I boil wax seal an egg".split(), k=draw.randint(1, 5)))
        pair = exchange(f"{ask}?", "é" * draw.randint(5, 40) + str(n))
        found.append(Candidate(record_id(str(draw.random())), pair, about, [], "p", "m", n))
    return found


def drawn_judgements(draw: random.Random, candidates: list[Candidate], scorers: list[str]) -> list[Judgement]:
    found = []
    for scorer in scorers:
        for one in candidates:
            score = draw.choice([draw.random(), draw.randint(1, 4) / 4, 0.5]) if draw.random() < 0.9 else None
            levels = [0.5, 1 - round(draw.random(), 1)] if score is not None and scorer != "ifd" else []
            raw = (
                []
                if score is not None
                else ["text", f"{UNSCORED}{draw.choice(['none', 'refused'])}"][draw.randint(0, 1) :]
            )
            losses = [draw.randint(1, 9) / 4, draw.randint(3, 9) / 4] if score is not None and scorer == "ifd" else []
            about = (f"{scorer}{one.id}", one.id, scorer, score)
            found.append(Judgement(*about, levels, None, raw, losses, "p", "m"))
    if draw.random() < 0.5:
        draw.shuffle(found)
    return found


def drawn_options(draw: random.Random, labels: str) -> Select:
    several: list[dict[str, Any]] = [
        {"top_n": draw.randint(1, 30)},
        {"top_fraction": draw.random()},
        {"min_score": round(draw.random(), 2)},
        {"min_probability": round(0.01 + 0.9 * draw.random(), 2)},
        {"bins": draw.randint(2, 5)},
        {"min_score": 0.25, "until": draw.randint(1, 20)},
    ]
    given = {**draw.choice(several), "max_unscored": 1.0, "drop_unhelpful": draw.random() < 0.7}
    if given.keys() & {"top_n", "top_fraction"}:
        given |= {"spread": draw.choice(["none", "source", "document"]), "match_lengths": draw.random() < 0.4}
    more = {
        "max_similarity": draw.choice([0.5, 0.7, 1.0]),
        "max_per_source": draw.choice([0.3, 2, 9]),
        "max_per_licence": draw.choice([0.5, 12]),
        "weights": draw.choice([{"rubric": 1}, {"rubric": 2, "ifd": 0.5}, {"ifd": 1, "rubric": 0, "whole": 3}]),
        "labels": labels,
    }
    given |= {name: value for name, value in more.items() if draw.random() < 0.35}
    return (Selection if "until" in given else Select).model_validate(given)


def stored(folder: Path, kind: type, records: list[Any], size: int) -> Records[Any]:
    folder.mkdir()
    for number, at in enumerate(range(0, max(1, len(records)), size)):
        write_records(folder / f"kept-{number:05d}.parquet", kind, records[at : at + size])
    return Records[Any](folder, folder.name)


def made(
    folder: Path, name: str, options: Select, **given: Any
) -> tuple[list[Example], list[Rejection], dict[str, Any]]:
    source = {"format": "text", "path": str(folder)}
    tree = {"seed": {"sources": [{"path": "builtin:demo"}]}, "corpus": {"sources": [source]}}
    file = RecipeFile.model_validate({"name": "x", "recipe": tree, "resources": {"runs": str(folder)}})
    with Run(file) as here:
        chosen = here.step(name, select, options, **given)
    record = json.loads((chosen.folder / "step.json").read_text())
    return list(chosen), list(rejections(chosen.folder)), record


@pytest.mark.parametrize("seed", range(60))
def test_the_step_does_what_the_reference_does(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_file, "PIECE", 7)
    draw = random.Random(seed)
    candidates = drawn_candidates(draw, draw.randint(1, 60))
    scorers = draw.sample(["rubric", "ifd", "whole"], draw.randint(1, 3))
    earlier, judgements = (drawn_judgements(draw, candidates, scorers) for _ in range(2))
    rows = [
        {"instruction": one.instruction, "output": one.output, "label": draw.choice(["good", "bad"])}
        for one in draw.sample(candidates, min(6, len(candidates)))
    ]
    labels = tmp_path / "labels.jsonl"
    labels.write_text("\n".join(map(json.dumps, rows)))
    options = drawn_options(draw, str(labels))
    found = verdicts(labels) if options.labels else {}
    said = {one.id: found[pair] for one in candidates if (pair := pair_of(one.messages)) in found}
    expected = Expected(options, candidates, judgements, said)

    pool = stored(tmp_path / "pool", Candidate, candidates, 17)
    judged = stored(tmp_path / "judged", Judgement, judgements, 23)
    assert count_chosen(options, [pool], [judged]) == len(expected.kept)
    before = draw.sample(candidates, len(candidates) // 2)
    chosen_before = [Example(one.id, one.messages, one.provenance, "augmented", "train") for one in before]
    given: dict[str, Any] = {"candidates": pool, "judgements": judged}
    given["before"] = (
        stored(tmp_path / "earlier", Judgement, earlier, 9),
        stored(tmp_path / "b", Example, chosen_before, 9),
    )
    scored = sum(one.score is not None for one in expected.kept)
    if options.bins and 0 < scored < options.bins:
        with pytest.raises(InputError, match=f"{scored} candidates are too few"):
            made(tmp_path, "select-1", options, **given)
        return
    reasons = Counter(f"candidates/{one.rule}" for one in expected.dropped)
    if not expected.kept:
        with pytest.raises(EmptyStep) as refused:
            made(tmp_path, "select-1", options, **given)
        assert str(refused.value).endswith(none_chosen(np.array(expected.able), options, reasons))
        return
    kept, dropped, record = made(tmp_path, "select-1", options, **given)
    assert kept == expected.kept and dropped == expected.dropped
    assert list(record["reasons"].items()) == reasons.most_common()
    failed = sum(one.outcome == "failed" for one in dropped)
    counts = {"entered": len(candidates), "kept": len(kept), "rejected": len(dropped) - failed, "failed": failed}
    assert record["counts"]["candidates"] == counts
    first = scores_of(earlier, options)
    metrics: dict[str, Any] = {"wanted": options.until} if isinstance(options, Selection) else {}
    metrics["agreement"] = agreement_of(first, expected.scores, {one.id for one in before}, {one.id for one in kept})
    if options.labels:
        keep = sum(one.keep for one in said.values())
        metrics["reviewed"] = {"kept": keep, "edited": 0, "dropped": len(said) - keep}
    assert record["metrics"] == metrics


def agreement_of(first: Scores, now: Scores, before: set[str], chosen: set[str]) -> dict[str, Any]:
    both = [id for id in now if now[id] is not None and first[id] is not None]
    a, b = (ranks_of({id: of[id] for id in both}) for of in (first, now))
    try:
        found = statistics.correlation([a[id] for id in both], [b[id] for id in both])
    except statistics.StatisticsError:
        found = None
    shared = len(before & chosen)
    return {"shared": shared / len(chosen), "jaccard": shared / len(before | chosen), "rank_correlation": found}


def test_a_large_choice_writes_the_sample_of_a_small_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of pieces, it is one sample of each rule, drawn from all that the rule drops."""
    monkeypatch.setattr(step_file, "PIECE", 100)
    candidates = drawn_candidates(draw := random.Random(7), 3 * SAMPLED)
    judgements = drawn_judgements(draw, candidates, ["ifd"])
    options = Select(top_n=350, max_unscored=1)
    expected = Expected(options, candidates, judgements, {})
    pool, judged = (
        stored(tmp_path / "p", Candidate, candidates, 999),
        stored(tmp_path / "j", Judgement, judgements, 999),
    )
    kept, dropped, record = made(tmp_path, "select-1", options, candidates=pool, judgements=judged)
    assert kept == expected.kept and dropped == sampled(expected.dropped)
    assert len(dropped) < len(expected.dropped) == sum(record["reasons"].values())
