"""Options of training, of writing instructions and of measuring losses."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from askback.recipe.base import Options, Share

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


class Augment(Options):
    """Self-augmentation (method.md 1.7)."""

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


class HeldOut(Options):
    """Loss per output token after each training, on held-out seed pairs and on pairs of documents that are set aside."""

    max_tokens: Annotated[int, Field(ge=16)] = 1024
    limit: Annotated[int, Field(ge=1)] | None = None
    """Largest number of pairs to measure on, the first by id."""
    tags: list[Literal["augmented", "inference"]] = ["inference"]
    """Prompts under which the loss is measured beside that of the pair's origin (S_a), each at the cost of another pass:
    "augmented" is S_w, "inference" S_a + S_w, under which the paper answers. The gate uses the loss under S_a."""
