"""Options of methods back_and_forth and reinstruct: how answers are rewritten, and what a rewrite has to keep to."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from askback.recipe.base import Options, Share
from askback.recipe.inputs import RowSource

GroundRule = Literal[
    "refusal",
    "cut-off",
    "urls",
    "code",
    "quotations",
    "dates",
    "numbers",
    "names",
    "coverage",
    "copied",
    "negation",
    "sentence",
    "all",
]


class Rewriting(Options):
    """Each answer is rewritten for its instruction (method.md 2.3), or written from its text (method.md 3.3)."""

    temperature: Annotated[float, Field(ge=0)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Back-and-Forth samples at 1.0 and 0.9; a lower temperature stays closer to the text (ours). REInstruct takes 0."""
    max_new_tokens: Annotated[int, Field(ge=16)] = 2048
    """Largest number of tokens of a rewrite, its markers included; of REInstruct's answers, 512."""
    max_draft_tokens: Annotated[int, Field(ge=16)] = 2048
    """Largest number of tokens of an answer to rewrite; a longer one is dropped, as half of it would be no draft."""
    retries: Annotated[int, Field(ge=0)] = 2
    """Number of times that a rewriter that leaves out the markers is asked again, each with another random seed; of method
    `reinstruct` 0, as at temperature 0 it would write the same."""


class Preferring(Options):
    """Which rewrites make a preference pair: chosen, with the original rejected (ours, after SPaR; method.md 4)."""

    max_length_ratio: Annotated[float, Field(ge=1)] = 1.2
    """Largest ratio of the longer to the shorter of the two, in characters: judges prefer what is longer."""
    max_output_tokens: Annotated[int, Field(ge=16)] = 1024
    """Number of tokens of each that the judge reads."""


class Triples(Options):
    """What the rewriter of method `reinstruct` learns from: text, question and answer (method.md 3.3)."""

    sources: list[RowSource] = []
    """Files of triples: each row a text (`context`, `text`, `passage`, …) beside a pair as under `seed`. The paper does not
    say where its are from. Without any, they are made of the seed's pairs (seed/triples.py; ours)."""


class PostFilters(Options):
    """REInstruct's rules for questions and answers (method.md 3.4)."""

    max_instruction_chars: Annotated[int, Field(ge=1)] = 500
    unseen_words: list[str] = ["this"]
    """Words of a question that point at a text which nobody sees."""
    max_dashes: Annotated[int, Field(ge=0)] = 10
    """Largest number of "- " in an answer."""
    mentions: list[str] = [
        "web text",
        "based on the information provided",
        "according to the text",
        "the provided text",
        "the text says",
    ]
    """What an answer that speaks of its text says: the paper's first two, and ours."""
    drop_refusals: bool = True
    """Whether an answer that says "sorry" or "I apologize" anywhere is dropped, which the paper has as an option."""


class Grounding(Options):
    """What a rewrite has to keep to (ours: the paper checks markers alone)."""

    min_coverage: Share = 0.4
    """Smallest share of the rewrite's content words that its source has too."""
    min_copied: Share = 0.1
    max_copied: Share = 1.0
    """Bounds of the share of the rewrite's words that stand in a run of `copied_words` words of the source. Below, it is
    another text; above, it was not rewritten: 0.98 drops answers that came back as they were."""
    copied_words: Annotated[int, Field(ge=2)] = 3
    min_sentence: Share = 0.25
    """Smallest share of content words, of any sentence of six or more, that its source has too."""
    skip_rules: list[GroundRule] = []
    """Rules of rewrite/rules.py that are not applied; `all` applies none, as in the papers."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> "Grounding":
        if self.min_copied > self.max_copied:
            raise ValueError(f"min_copied {self.min_copied} is above max_copied {self.max_copied}")
        return self
