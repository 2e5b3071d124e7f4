"""ROUGE-L: the words that an answer and its reference share, in order. Weak evidence: a good answer may share few."""

from dataclasses import dataclass
from typing import Never

from askback.evaluate.options import Referring
from askback.execution.identity import recorded
from askback.execution.outcome import Counts
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.records import Answer, EvalPrompt
from askback.text.words import words


@dataclass(frozen=True)
class RougeL:
    """Shares in [0, 1] of common words: among the answer's, among the reference's, and the harmonic mean."""

    precision: float
    recall: float
    f1: float


def rouge_l(reference: str, answer: str) -> RougeL:
    """Return sentence-level ROUGE-L (Lin 2004) over words, without case and stemming; in English as `rouge_score`."""
    left, right = words(reference), words(answer)
    common = common_words(left, right)
    if not common:
        return RougeL(0.0, 0.0, 0.0)
    precision, recall = common / len(right), common / len(left)
    return RougeL(precision, recall, 2 * precision * recall / (precision + recall))


def common_words(left: list[str], right: list[str]) -> int:
    """Return the length of the longest common subsequence, by bit-parallel dynamic programming (Hyyrö 2004)."""
    places: dict[str, int] = {}
    for at, word in enumerate(left):
        places[word] = places.get(word, 0) | 1 << at
    full = (1 << len(left)) - 1
    row = full
    for word in right:
        hit = row & places.get(word, 0)
        row = ((row + hit) | (row - hit)) & full
    return len(left) - row.bit_count()


@recorded(version=2)
def compare_with_references(
    step: Step, options: Referring, *, prompts: Records[EvalPrompt], answers: Records[Answer]
) -> Records[Never]:
    """Score answers against the references of their prompts; the means are in the step's metrics."""
    references = {one.id: one.reference for one in prompts if one.reference.strip()}
    scores = [rouge_l(references[one.example_id], one.output) for one in answers if one.example_id in references]
    count = max(1, len(scores))
    counts = {"answers": Counts(len(answers), len(scores), len(answers) - len(scores))}
    metrics = {
        "answers": len(scores),
        "precision": sum(score.precision for score in scores) / count,
        "recall": sum(score.recall for score in scores) / count,
        "rouge_l": sum(score.f1 for score in scores) / count,
    }
    return step.measured(counts, metrics)
