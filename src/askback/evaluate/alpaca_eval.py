"""AlpacaEval's published judgements, to recompute its figures with our code."""

from collections.abc import Sequence
from pathlib import Path

from askback.errors import InputError
from askback.evaluate.length_control import LengthControlled, length_controlled
from askback.evaluate.pairwise import HeadToHead, head_to_head
from askback.inputs.rows import BrokenRow, read_rows


def published(path: Path, difficulty: Sequence[float] | None = None) -> tuple[HeadToHead, LengthControlled]:
    """Return win rate and length-controlled win rate of an ``annotations.json`` (also .gz).

    There, `preference` is between 1 (the reference, output_1) and 2 (the model, output_2); 0 is an older mark of a tie, and
    null is unscored.

    Args:
        difficulty: per row, the published constant of the full length-controlled formula; without, the minimal formula.

    Raises:
        InputError: a row is no judgement.
    """
    preferences, judged = list[float | None](), list[tuple[float, int, int]]()
    for where, row in read_rows(path):
        given = row if isinstance(row, dict) else {}
        texts = [given.get("output_1"), given.get("output_2")]
        if isinstance(row, BrokenRow) or "preference" not in given or not all(isinstance(text, str) for text in texts):
            raise InputError(
                f"{where}: expected output_1, output_2 and preference, as in AlpacaEval's annotations.json"
            )
        value = given["preference"]
        preference = None if value is None else (float(value) or 1.5) - 1
        preferences.append(preference)
        judged.append((0.5 if preference is None else preference, len(str(texts[1])), len(str(texts[0]))))
    return head_to_head(preferences), length_controlled(judged, difficulty)
