"""Options of training, of writing instructions and of measuring losses."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from askback.recipe.base import NAME, Options, Share
from askback.recipe.inputs import SeedSource

HygieneRule = Literal[
    "too-long", "template-leak", "an-answer", "echo", "dangling", "several-questions", "no-request", "language"
]


class Lora(Options):
    """Low-rank adapters instead of full finetuning, through peft."""

    rank: Annotated[int, Field(ge=1)] = 16
    alpha: Annotated[int, Field(ge=1)] = 32
    dropout: Share = 0.0
    quantised: Literal["nf4", "fp4"] | None = None
    """Hold the base model in 4 bits while the adapter learns (QLoRA), for a large model on one GPU; `askback[quantised]`.
    The adapter is merged into the unquantised base, in float32."""


class Training(Options):
    """One finetuning from the base model (method.md 1.5)."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    final_learning_rate: Annotated[float, Field(ge=0)] = 9e-6
    """Learning rate of the last step; it falls linearly from `learning_rate`."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability of dropout, wherever the architecture has it; LLaMA has it at attention weights alone. The paper states
    0.1, not where; off by default, as it slows down a small model's few steps. An adapter has `lora.dropout`."""
    batch_size: Annotated[int, Field(ge=1)] | None = None
    """Examples per optimiser step; by default the paper's 32, or 8 under 3,000 examples."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """Optimiser steps; by default from the paper's table, by the number of examples."""
    exposure: Literal["equal", "paper"] = "equal"
    """How often M_t sees the seed beside its chosen pairs. `equal`: in the very batches of M_0, to each of which chosen
    pairs are added, seen about as often as seed pairs are; so M_t differs from M_0 by these alone (ours). `paper`: all
    examples are shuffled together, and steps go by their number."""
    max_tokens: Annotated[int, Field(ge=16)] = 2048
    """Largest number of tokens of an example; a longer one loses the end of its output (forward) or of the document in its
    prompt (backward)."""
    trained_layers: Annotated[int, Field(ge=1)] | None = None
    """Number of upper layers to train, with the norm after them; what is below, embeddings and head stay as they are and
    need no backward pass. Of SmolLM2-135M's 30, the upper 8 train 2.3 times the tokens a second. None trains all."""
    lora: Lora | None = None
    trl: dict[str, Any] = {}
    """Further arguments of TRL's `SFTConfig`, passed on unchanged."""

    @model_validator(mode="after")
    def _rate_falls(self) -> "Training":
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate {self.final_learning_rate} is above learning_rate {self.learning_rate}"
            )
        return self


class Backward(Training):
    """The training of M_yx."""

    refusals: Share = 0.0
    """Number of damaged documents added to the training, as a share of the seed pairs; the answer to each is that no
    instruction fits (train/abstention.py). 0, as in the paper: the corpus rules drop damaged text before, and a small
    model that has learnt to decline declines good text too. Try 0.05 on a corpus that is not clean."""


StyleName = Literal["imperative", "question", "search-query", "role", "format"]
"""How a request is worded; the words of each are in prompts/styles.py."""


class Prompted(Options):
    """A model that is not trained writes the instructions, from a prompt alone (method `prompted`)."""

    mode: Literal["prompted"] = "prompted"
    shots: Annotated[int, Field(ge=0, le=32)] = 0
    """Number of seed pairs that the prompt shows as examples, chosen for each segment: drawn from those whose outputs are
    nearest to it in length and form. 0 needs no seed pairs."""
    example_tokens: Annotated[int, Field(ge=16)] = 256
    """Number of tokens of an example's output that are shown."""
    styles: Annotated[dict[StyleName, Annotated[float, Field(ge=0)]], Field(min_length=1)] = {
        "imperative": 0.35,
        "question": 0.35,
        "search-query": 0.1,
        "role": 0.1,
        "format": 0.1,
    }
    """Shares of the styles in which the requests are worded, drawn for each; they need not sum to 1."""

    @model_validator(mode="after")
    def _some_style(self) -> "Prompted":
        if not any(self.styles.values()):
            raise ValueError("styles: at least one share must be above 0")
        return self


MODE = "mode: "
"""Begins a tag of the alternatives of `backward`, which no message shows."""
AnyBackward = Annotated[
    Annotated[Backward, Tag(f"{MODE}trained")] | Annotated[Prompted, Tag(f"{MODE}prompted")],
    Discriminator(lambda given: MODE + ("prompted" if _mode(given) == "prompted" else "trained")),
]


def _mode(given: Any) -> Any:
    return given.get("mode") if isinstance(given, dict) else getattr(given, "mode", None)


class Augment(Options):
    """Self-augmentation (method.md 1.7)."""

    prompt: ClassVar[str] = "backward"
    """Name of the prompt that asks for an instruction."""

    per_segment: Annotated[int, Field(ge=1)] = 1
    """Number of instructions to write for each segment."""
    temperature: Annotated[float, Field(ge=0)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    max_new_tokens: Annotated[int, Field(ge=1)] = 128
    """Largest number of tokens of an instruction. The paper gives none; its candidates average 352 characters, its chosen
    ones 115."""
    max_document_tokens: Annotated[int, Field(ge=16)] = 1024
    """Number of tokens of a segment that the backward model reads; the candidate keeps the whole segment."""
    max_instruction_chars: Annotated[int, Field(ge=1)] = 800
    copied_words: Annotated[int, Field(ge=2)] = 12
    """Number of consecutive words of the segment that make an instruction an echo (ours; the paper has no such rule)."""
    max_questions: Annotated[int, Field(ge=1)] = 3
    """Largest number of question marks; more are several instructions in one (ours; 2 in 1,000 of OpenAssistant's have
    more)."""
    skip_rules: list[HygieneRule] = []
    """Rules of augment/hygiene.py that are not applied."""


class Asking(Augment):
    """`Augment` and `Prompted` together: how a model that is not trained is asked."""

    prompt: ClassVar[str] = "writer"
    shots: int
    example_tokens: int
    styles: dict[StyleName, float]
    first: int = 0
    stop: int | None = None
    """The segments of one block, by their places in a drawn order (`Selection.until`); None is to the end."""


class HeldOut(Options):
    """Loss per output token after each training, on held-out seed pairs and on pairs of documents that are set aside."""

    max_tokens: Annotated[int, Field(ge=16)] = 1024
    limit: Annotated[int, Field(ge=1)] | None = None
    """Largest number of pairs to measure on, the first by id."""
    tags: list[Literal["seed", "augmented", "inference"]] = ["seed", "augmented", "inference"]
    """Prompts under which the loss is measured beside that of the pair's origin, each other one at the cost of another
    reading: "seed" is S_a, "augmented" S_w, "inference" S_a + S_w, under which the paper answers. The gate goes by that of
    the origin: S_a of the seed, S_w of pairs of documents."""


TAKEN = ("held-out", "set", "size", "by_training", "standard_error", "length_controlled")
"""Names that no set of people's pairs may have: those of the seed's held-out pairs, and of the fields that stand beside
the sets in a study's points."""


class HumanSet(SeedSource):
    """Pairs that people wrote, to measure every model on; none is trained on, and the gate does not look at them."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    """What it is called in tables and in the names of steps."""

    @model_validator(mode="after")
    def _name_is_free(self) -> "HumanSet":
        if self.name in TAKEN:
            raise ValueError(f"name: {self.name} is taken, as are {', '.join(TAKEN)}; give another")
        return self


class Evaluate(HeldOut):
    """On which pairs models are measured, and how."""

    sets: list[HumanSet] = []
    """Further pairs that people wrote, of other kinds than the seed, such as Self-Instruct's. One whose instruction is also
    in what is trained on, or shares 13 words in a row with it, is left out."""

    @model_validator(mode="after")
    def _names_once(self) -> "Evaluate":
        names = [one.name for one in self.sets]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"sets: two are named {twice}; give each a name of its own")
        return self

    @property
    def measuring(self) -> HeldOut:
        """The options without the sets, so that another set leaves what is measured as it is."""
        return HeldOut(**self.model_dump(exclude={"sets"}))
