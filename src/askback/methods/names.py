"""What the steps of the pages are called, for what looks at a run afterwards; no other file writes a step's name.

In a round's steps, the number of the round stands last. M_0 is trained on the seed alone.
"""

import re
from collections.abc import Callable, Iterable

SEED, SEGMENTS, CORPUS, NATURAL, CANDIDATES, RESULT = "seed", "segment", "dedup", "natural", "augment", "result"
REWRITTEN, FILTERED, GROUNDED, PREFERRED = "rewrite", "filtered", "grounded", "prefer"
"""The chosen pairs with rewritten outputs, those of them that pass REInstruct's rules, those that are kept, and of these,
those that a judge prefers."""
TRIPLES, REWRITER = "triples", "rewriter"
"""What a rewriter learns from, and the rewriter, where it is trained."""
PROBES = "probes"
"""Held-out pairs, true and damaged, that judges are tried on."""
UNSEEN = "unseen"
"""Pairs of documents that are set aside, which count."""
LESSONS = ("teach", "ranked")
"""Those that make what the judge is taught."""
CORPUS_STEPS = (SEGMENTS, CORPUS)
"""Those that make the segments."""
BASE = "base"
"""The base model, which no step makes."""

TRAINING = "train"
ROLES = ("augment", "score", "rewrite", "loss")
"""In which steps ask an engine."""

_ROUND = re.compile(r"(?:teach-probe-|probe-|check-|score-|select-|m|loss-m|unseen-m|beside-m)(\d+)")


def model(t: int) -> str:
    """Return the name of M_t."""
    return f"m{t}"


def loss(model: str) -> str:
    """Return the step that measures a model's loss on held-out seed pairs."""
    return f"loss-{model}"


def unseen(model: str) -> str:
    """Return the step that measures a model's loss on pairs of documents that are set aside."""
    return f"unseen-{model}"


def beside(model: str) -> str:
    """Return the step that measures a model's loss on pairs that the gate does not look at."""
    return f"beside-{model}"


def human_set(name: str) -> str:
    """Return the step that loads a further set of people's pairs."""
    return f"set-{name}"


def check(t: int) -> str:
    """Return the step that says how well the judge of round `t` tells damaged pairs from sound ones."""
    return f"check-{t}"


def probed(t: int) -> str:
    """Return the step in which the judge of round `t` judges the probes."""
    return f"probe-{t}"


def judgements(t: int) -> str:
    """Return the step in which the judge of round `t` judges the candidates."""
    return f"score-{t}"


def choice(t: int) -> str:
    """Return the step that chooses the pairs of round `t`."""
    return f"select-{t}"


def block(kind: str, number: int) -> str:
    """Return the step of one block of several: of "augment", or of "score"."""
    return f"{kind}-block-{number}"


def is_block(step: str) -> bool:
    """Return whether a step is that of a block; what blocks made is joined under the name of the whole."""
    return "-block-" in step


def round_of(step: str) -> int:
    """Return the round that a step belongs to, 0 for those before the first."""
    number = _ROUND.fullmatch(step)
    return int(number[1]) if number else 0


def rounds(name: Callable[[int], str], steps: Iterable[str]) -> list[int]:
    """Return the rounds, in order, in which there is a step of a kind (`name`: `model`, `check`, …)."""
    return sorted(t for step in steps if (t := round_of(step)) and step == name(t))


def measured(steps: Iterable[str], on: Callable[[str], str] = loss) -> list[str]:
    """Return the models whose loss is measured, in the order of `steps`: on held-out seed pairs, or by another step."""
    return [model for step in steps if (model := step.rpartition("-")[2]) and step == on(model)]


_IN_WORDS = {
    "reading the documents": r"seed|segment|dedup|natural|probes",
    "teaching the model to ask questions": r"backward",
    "asking what each text answers": r"augment",
    "asking the same of texts that are set aside to measure on": r"ask-unseen|rate-unseen|unseen",
    "measuring how well the model predicts answers": r"(?:loss|unseen|beside)-\w+|set-.+",
    "teaching the model to answer, from the seed pairs alone": r"m0|teach|ranked",
    "judging the pairs": r"(?:teach-probe|check|score|select)-\d+",
    "teaching the model to answer from a text": r"triples|rewriter",
    "rewriting the answers": r"rewrite|filtered|grounded|prefer",
    "teaching the model to answer, with the best pairs added": r"m\d+",
    "comparing the models": r"result",
}


def in_words(step: str) -> str:
    """Return what a step does in the words of somebody who does not know the method; its name where there are none."""
    return next((words for words, pattern in _IN_WORDS.items() if re.fullmatch(pattern, step)), step)
