"""What the scorers said of candidates, as columns with a value for each, by the candidates' places."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from askback.curate.combine import Floats, combined
from askback.execution.shards import Records, columns
from askback.recipe import Select
from askback.records import UNSCORED, Judgement


class Judged(NamedTuple):
    """The score of each candidate that the options use, and its losses by `ifd`, with the instruction and without; NaN
    where there are none. `why`: id → why a candidate has no score, from the first scorer that gives none."""

    scores: Floats
    given: Floats
    alone: Floats
    why: dict[str, str]


def read_judged(judgements: Sequence[Records[Judgement]], ids: NDArray[np.bytes_], options: Select) -> Judged:
    """Read what the scorers said of the candidates with these ids, in UTF-8."""
    import pyarrow as pa
    import pyarrow.compute as pc

    by_level = options.min_probability is not None
    said = columns(
        judgements, Judgement, *("candidate_id", "scorer", "score", "losses", "distribution")[: 4 + by_level]
    )
    places = pc.index_in(said["candidate_id"].cast("binary"), value_set=pa.array(ids, "binary"))
    assert places.null_count == 0, "the judgements are of these candidates"

    def spread(own: Any, values: Floats) -> Floats:
        found = np.full(len(ids), np.nan)
        found[places.filter(own).to_numpy()] = values
        return found

    values = _highest_levels(said["distribution"]) if by_level else said["score"].to_numpy()
    own = {scorer: pc.equal(said["scorer"], scorer) for scorer in pc.unique(said["scorer"]).to_pylist()}
    scores = {scorer: spread(rows, values[rows.to_numpy()]) for scorer, rows in own.items()}
    of_ifd = pc.and_(pc.equal(said["scorer"], "ifd"), pc.greater(pc.list_value_length(said["losses"]), 0))
    losses = said["losses"].filter(of_ifd)
    given, alone = (spread(of_ifd, pc.list_element(losses, at).to_numpy()) for at in (0, 1))
    why = _why_unscored(judgements, said["score"].is_null().to_numpy())
    return Judged(combined(scores, options.weights, len(ids)), given, alone, why)


def _highest_levels(distributions: Any) -> Floats:
    """Return the probability of the highest level of each judgement, NaN where there is none."""
    import pyarrow.compute as pc

    lengths = pc.list_value_length(distributions).to_numpy()
    found = np.full(len(lengths), np.nan)
    found[lengths > 0] = pc.list_flatten(distributions).to_numpy()[np.cumsum(lengths)[lengths > 0] - 1]
    return found


def _why_unscored(judgements: Sequence[Records[Judgement]], missing: NDArray[np.bool_]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in judgements if missing.any() else ():
        here, missing = np.split(missing, [len(part)])
        for judgement in part.picked(here):
            reasons = [text.removeprefix(UNSCORED) for text in judgement.raw if text.startswith(UNSCORED)]
            if reasons:
                found.setdefault(judgement.candidate_id, f"{judgement.scorer}: {reasons[0]}")
    return found
