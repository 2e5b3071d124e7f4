"""The pairs of a run to ask people about, and what the judge made of them. Texts stay on disk until one is shown."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from askback.curate.choose import source_of
from askback.curate.combine import combine, mid_ranks
from askback.curate.label_file import pair_of
from askback.curate.levels import by_highest_level
from askback.errors import InputError
from askback.execution.shards import Records, read_records, rejections
from askback.methods import names
from askback.records import Candidate, Conversation, Example, Judgement, Probe
from askback.studies.run_folder import data_round, finished, recipe_tree


@dataclass(slots=True)
class Known:
    """What is known of a pair without its text: where it lies, how long its output is, and what nobody is to see before
    they have labelled it.

    `kind` is "" of a candidate, else the kind of probe. `uncertainty` is the entropy of the judge's levels as a share of
    the largest, `disagreement` the distance between the ranks that two scorers give it. `rule` says why it was not chosen.
    """

    file: Path
    row: int
    length: int
    segment: str
    source: str
    language: str
    kind: str = ""
    score: float | None = None
    uncertainty: float | None = None
    disagreement: float | None = None
    chosen: bool | None = None
    rule: str = ""


class Pairs:
    """The candidates of a run, and the probes that its judge was tried on; by the id that labels have (label_file.py).

    Raises:
        InputError: the run has no candidates yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        made = {step["step"] for step in finished(folder)}
        if names.CANDIDATES not in made:
            raise InputError(f"{folder}: has no pairs yet. Make them first: askback run RECIPE")
        judged = names.rounds(names.judgements, made)
        self.round = data_round(folder) or (judged[-1] if judged else 0)
        """The round whose choice and scores the page shows after a label; 0 while there is none."""
        self.judge = ""
        self.known: dict[str, Known] = {}
        options = recipe_tree(folder).get("select", {})
        scored = names.judgements(self.round)
        said = self._judged(scored, options) if scored in made else {}
        choice = names.choice(self.round)
        chosen = {one.id for one in Records[Example](folder / choice, "")} if choice in made else None
        rules = {drop.id: drop.rule for drop in rejections(folder / choice)} if chosen is not None else {}
        for id, known, record in self._located(names.CANDIDATES):
            known.chosen = None if chosen is None else record in chosen
            known.rule = rules.get(record, "")
            self._add(id, known, said.get(record))
        if names.PROBES in made:
            probed = names.probed(self.round)
            said = self._judged(probed, options) if probed in made else {}
            for id, known, record in self._located(names.PROBES):
                if id not in self.known:
                    self._add(id, known, said.get(record))

    def _located(self, step: str) -> Iterator[tuple[str, Known, str]]:
        """Yield (the pair's id, what is known of it, its record's id) of a step's pairs."""
        for part in Records[Candidate | Probe](self.folder / step, "").parts():
            for row, one in enumerate(read_records(part)):
                about = one.provenance
                kind = one.kind if isinstance(one, Probe) else ""
                place = (part, row, len(one.output), one.messages[-1].segment_id, source_of(about.uri), about.language)
                yield pair_of(one.messages), Known(*place, kind), one.id

    def _add(self, id: str, known: Known, said: "Said | None") -> None:
        if said:
            known.score, known.uncertainty, known.disagreement = said.score, said.uncertainty, said.disagreement
        self.known[id] = known

    def _judged(self, step: str, options: Mapping[str, Any]) -> "dict[str, Said]":
        """Return record id → what the judge said of it, with the score that the choice goes by."""
        entropies: dict[str, list[float]] = defaultdict(list)
        scores: dict[str, dict[str, float]] = defaultdict(dict)

        def noted() -> Iterator[Judgement]:
            for one in Records[Judgement](self.folder / step, ""):
                self.judge = self.judge or one.model_id
                if one.score is not None:
                    scores[one.scorer][one.candidate_id] = one.score
                if len(one.distribution) > 1:
                    entropies[one.candidate_id].append(_entropy(one.distribution))
                yield one

        read: Iterable[Judgement] = noted()
        by_level = options.get("min_probability") is not None
        combined = combine(by_highest_level(read) if by_level else read, options.get("weights") or {})
        ranks = [dict(zip(one, mid_ranks(list(one.values())).tolist(), strict=True)) for one in scores.values()]
        found = {}
        for id, score in combined.items():
            places = [rank[id] for rank in ranks if id in rank]
            apart = max(places) - min(places) if len(places) > 1 else None
            sure = entropies.get(id)
            found[id] = Said(score, sum(sure) / len(sure) if sure else None, apart)
        return found

    def text(self, id: str) -> Conversation:
        """Return a pair with its text; one row group is read for it (execution/shards.py).

        Raises:
            InputError: the pairs were made again since they were looked up, or cannot be read.
        """
        known = self.known[id]
        rows = read_records(known.file, known.row, known.row + 1) if known.file.exists() else ()
        found = next(iter(rows), None)
        if not isinstance(found, Conversation) or pair_of(found.messages) != id:
            raise InputError(f"{self.folder}: its pairs were made again meanwhile. Start askback review again")
        return found


@dataclass(slots=True)
class Said:
    """What the judge said of a pair, as in `Known`."""

    score: float | None
    uncertainty: float | None
    disagreement: float | None


def _entropy(distribution: list[float]) -> float:
    return -sum(p * math.log(p) for p in distribution if p > 0) / math.log(len(distribution))
