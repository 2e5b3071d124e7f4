"""What is put to a model."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is put to a model: the user's turn, and the words its answer is made to begin with.

    An engine renders it through `askback.prompts.render`, or sends it as chat messages; nothing else may.
    """

    user: str
    answer_start: str = ""
