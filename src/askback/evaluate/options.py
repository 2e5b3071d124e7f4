"""Options of an evaluation, given on the command line and not in a recipe, as a run is evaluated in many ways."""

from typing import Annotated

from pydantic import Field

from askback.recipe import EngineOptions, Options, SeedSource, Share


class PromptFile(Options):
    """A file of prompts, some perhaps with a reference answer."""

    path: str
    limit: Annotated[int, Field(ge=1)] | None = None
    """Largest number of usable prompts to take, from the first on."""


class HeldOutPrompts(Options):
    """The instructions of held-out pairs, with their outputs as references."""

    limit: Annotated[int, Field(ge=1)] | None = None


class Answering(Options):
    """How a model answers a prompt set (method.md 1.10)."""

    temperature: Annotated[float, Field(ge=0)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    max_new_tokens: Annotated[int, Field(ge=1)] = 512
    """Largest number of tokens of an answer. The paper gives none; a small model seldom ends a longer answer well."""
    max_prompt_tokens: Annotated[int, Field(ge=16)] = 1024
    """Largest number of tokens of a prompt; longer ones are not answered, and count as unscored."""
    quality: str = ""
    """Quality that is asked for, as in "5 of 5", of a model trained with `select.bins`."""


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
    """Number of examples before each question; by default each task's own."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Largest number of questions of each task: for trying out, not for reporting."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    include_path: str = ""
    """A folder of the user's own task files."""
    python: str = ""
    """The Python of the environment that has lm-eval, if not this one."""


class Describing(Options):
    """How the data are described."""

    near_copy: Share = 0.7
    """MinHash similarity to an earlier instruction from which on an instruction is a near-copy."""
    prompts: tuple[str, ...] = ()
    """Files of evaluation prompts that are searched for in the pairs."""


class Subset(Options):
    """A part of a set to train on."""

    size: Annotated[int, Field(ge=1)]
    added: bool = False
    """Tag the pairs as augmented ones, and put them on top of M_0's batches, whoever wrote them."""


class Questions(Options):
    """What to measure of a run, beside the losses that the run itself measured.

    `model` is a model of the run ("" for the result); `against` names others, or files of answers (None for M_0, if it is
    trained); `judge` is a model of the run or any other. `prompts` are files, or "held-out" for the instructions of the
    seed's held-out pairs.
    """

    model: str = ""
    against: tuple[str, ...] | None = None
    judge: str = "base"
    judge_engine: EngineOptions | None = None
    """The engine of the judge; by default the recipe's `resources.engines.compare`. With an `openai_http`, which has a
    model of its own, `judge` is not used."""
    prompts: tuple[str, ...] = ()
    pairs: tuple[SeedSource, ...] = ()
    limit: int | None = None
    embedder: str = ""
    """The model that compares answers with references in meaning (`Embedding.model`); "" for none."""
    answering: Answering = Answering()
    judging: Judging = Judging()
    benchmarks: Benchmarks | None = None
