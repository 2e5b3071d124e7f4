"""What a run's data and figures are not: the method's own limits, as they stand on the card and in the report."""

from askback.models.builtin import BUILTIN

LIMITS = (
    "One turn: every pair is one request and one answer, without what was said before.",
    "Made for English: the rules for instructions, the judge's prompts and the filter of what a text says to its judge "
    "know English forms alone.",
    "Not safe by itself: nothing looks for harmful, false or dated content; facts in the outputs are as right as their "
    "sources.",
    "The outputs are what documents hold: little code, few dialogues, letters or texts of a wanted form, so a model learns "
    "little of these.",
    "The judge is the model that is trained, or one like it: it may prefer what it would write itself, and it has been "
    "measured to agree with people no better than chance on which of two sound answers is the better one.",
    "A score belongs to the model and the prompt that gave it. Scales drift: between the first and the second round the "
    "mean score of the same candidates was seen to move from 2.6 to 3.9, so scores of two rounds, or of two runs, are not "
    "to be compared.",
)
"""In the order of how often they matter; each stands by itself."""


def limits(base: str) -> list[str]:
    """Return the limits of a run, with what follows from its base model's name."""
    builtin = BUILTIN.get(base.removeprefix("builtin:"))
    named = "instruct" in base.lower() or base.lower().endswith(("-it", "-chat"))
    tuned = builtin.tuned if builtin else named
    if not tuned:
        return list(LIMITS)
    return [
        *LIMITS,
        "The base model is instruction-tuned already, perhaps with the answers of stronger models: that no stronger "
        "teacher is needed holds for what happens here, not for how that base came about.",
    ]
