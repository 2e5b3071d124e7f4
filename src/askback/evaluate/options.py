"""Options of an evaluation. They are given on the command line, not in a recipe: a run is evaluated in many ways."""

from typing import Annotated

from pydantic import Field

from askback.recipe import EngineOptions, Options, SeedSource, Share


class PromptFile(Options):
    """A file of prompts, some perhaps with a reference answer."""

    path: str
    limit: Annotated[int, Field(ge=1)] | None = None
    """Number of usable prompts to take, from the first on."""


class HeldOutPrompts(Options):
    """The instructions of held-out pairs, with what people answered as reference."""

    limit: Annotated[int, Field(ge=1)] | None = None


class Answering(Options):
    """How a model answers a prompt set (method.md 1.10)."""

    temperature: Annotated[float, Field(ge=0)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    max_new_tokens: Annotated[int, Field(ge=1)] = 512
    """The paper does not say; a small model seldom ends a longer answer well."""
    max_prompt_tokens: Annotated[int, Field(ge=16)] = 1024
    """Longer prompts are not answered, and count as unscored."""
    quality: str = ""
    """Ask for answers of this quality, as in "5 of 5", of a model that was trained with `select.bins`."""


class BaselineFile(Options):
    """Answers of another model, as AlpacaEval's ``model_outputs.json``."""

    path: str


class Judging(Options):
    """How two answers are compared."""

    max_output_tokens: Annotated[int, Field(ge=16)] = 1024
    """Number of tokens of each answer that the judge reads."""


class Referring(Options):
    """Comparison with reference answers has no options."""


class Embedding(Options):
    """Comparison with reference answers in meaning."""

    model: str
    """A folder that holds a sentence-embedding model, or the name of an installed package that does."""


class Benchmarks(Options):
    """Tasks of lm-evaluation-harness."""

    tasks: Annotated[list[str], Field(min_length=1)]
    few_shot: Annotated[int, Field(ge=0)] | None = None
    """Examples shown before each question; each task's own number unless given."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Number of questions to take of each task: for trying out, not for reporting."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    include_path: str = ""
    """A folder of task files of one's own."""
    python: str = ""
    """The Python that has lm-eval, where that is another environment."""


class Describing(Options):
    """What is counted of the data."""

    near_copy: Share = 0.7
    """Instructions at or above this MinHash similarity to an earlier one are near-copies."""
    prompts: tuple[str, ...] = ()
    """Files of evaluation prompts to look for in the pairs."""


class Subset(Options):
    """A part of a set to train on."""

    size: Annotated[int, Field(ge=1)]


class Questions(Options):
    """What to find out about a run, beside the losses that it has measured itself.

    `model` is a model of the run ("" the last); `against` names others, or files of answers (None: M_0, if it is trained);
    `judge` is a model of the run or any other. `prompts` are files, or "held-out" for the instructions of the seed's
    held-out pairs.
    """

    model: str = ""
    against: tuple[str, ...] | None = None
    judge: str = "base"
    judge_engine: EngineOptions | None = None
    """What runs the judge; `resources.engines.compare` of the recipe unless given. An `openai_http` has a model of its own,
    and `judge` does not count."""
    prompts: tuple[str, ...] = ()
    pairs: tuple[SeedSource, ...] = ()
    limit: int | None = None
    embedder: str = ""
    """Compare answers with references in meaning too, by this model (`Embedding.model`)."""
    answering: Answering = Answering()
    judging: Judging = Judging()
    benchmarks: Benchmarks | None = None
