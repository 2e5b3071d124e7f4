"""Every shape that reaches disk.

One small record travels through the rooms: a `Document` is cut into `Segment`s, the backward model turns a segment into a
`Candidate`, the forward model writes a `Judgement` about it, and what is chosen becomes an `Example`, as the seed pairs
are. Whatever is dropped on the way becomes a `Rejection`. A field has one name for life.

Ids are hashes of content (`record_id`), so the same input gives the same ids in every run and on every machine.
"""

import dataclasses
import hashlib
import types
import typing
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pyarrow as pa

Markup = Literal["html", "xhtml", "markdown", "rst", "text"]


def record_id(*parts: str) -> str:
    """Return a stable 16-hex-digit id of `parts`; their borders count, so ("ab", "c") and ("a", "bc") differ."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()[:16]


DRAWS = 2**63
"""`draw` returns an integer in [0, DRAWS)."""


def draw(random_seed: int, *parts: object) -> int:
    """Return a number in [0, DRAWS) that depends on its arguments alone: the one source of randomness.

    It seeds the sampling of a record, or orders records at random, so neither order nor worker count changes a result.
    """
    text = " ".join(map(str, (random_seed, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a text is from, as its source states it; "" is what it does not state.

    `uri` names the document or row, `source` what it was read as. `licence` is an SPDX expression, a URL or the source's
    own words, `language` an ISO 639-1 code. `date` is the day of publication, YYYY-MM-DD.
    """

    uri: str = ""
    source: str = ""
    licence: str = ""
    language: str = ""
    title: str = ""
    author: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """One page as a reader found it; never written to disk. `text` is the markup itself, the rest as in `Provenance`."""

    uri: str
    text: str
    markup: Markup
    source: str
    title: str = ""
    licence: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """The text under one header: the y of the method. `header_path` runs from the page's top header to this one's."""

    id: str
    text: str
    header_path: list[str]
    provenance: Provenance


Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. `segment_id` names the segment that an assistant's turn was taken from, if it was."""

    role: Role
    content: str
    segment_id: str = ""


def exchange(instruction: str, output: str, segment_id: str = "") -> tuple[Message, ...]:
    """Return the messages of a conversation of one exchange."""
    return Message("user", instruction), Message("assistant", output, segment_id)


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a user and an assistant said to each other, in turns; an assistant's turn ends it.

    `Example`, `Lesson`, `Candidate` and `Probe` are conversations of which more is known.
    """

    id: str
    messages: tuple[Message, ...]
    provenance: Provenance

    @property
    def instruction(self) -> str:
        """The user's turn of the last exchange."""
        return self.messages[-2].content

    @property
    def output(self) -> str:
        """The assistant's turn of the last exchange."""
        return self.messages[-1].content


Origin = Literal["seed", "augmented"]
Split = Literal["train", "held-out"]


@dataclass(frozen=True, slots=True)
class Example(Conversation):
    """A conversation to train or measure on.

    `origin` says who wrote the instructions: "seed" a person, "augmented" the backward model. Held-out examples are never
    trained on. `quality`, as in "3 of 5", is the quantile of its score where `select.bins` asks for one, and goes into the
    prompt.
    """

    origin: Origin
    split: Split
    score: float | None = None
    quality: str = ""


@dataclass(frozen=True, slots=True)
class Lesson(Conversation):
    """A conversation that the judge learns to give `score` to (curate/teach.py); nothing is learnt from its output."""

    score: float


@dataclass(frozen=True, slots=True)
class Candidate(Conversation):
    """A segment with an instruction the backward model wrote for it (the paper's set A).

    `random_seed` is that of its sampling.
    """

    header_path: list[str]
    prompt_id: str
    model_id: str
    random_seed: int


@dataclass(frozen=True, slots=True)
class Probe(Conversation):
    """A conversation to try a judge with, in place of a candidate.

    `kind` is "true" for a pair as people wrote it, a kind of damage (curate/damage.py), "scrambled" for words in no order,
    or "labelled" for a user's own, which has a `label`. Probes of one pair share `pair_id`.
    """

    pair_id: str
    kind: str
    label: float | None = None


@dataclass(frozen=True, slots=True)
class EvalPrompt:
    """A prompt of an evaluation set: messages, the last one a user's. `reference` is a person's answer, "" if none."""

    id: str
    messages: tuple[Message, ...]
    reference: str
    provenance: Provenance

    @property
    def instruction(self) -> str:
        """The user's turn that is to be answered."""
        return self.messages[-1].content


@dataclass(frozen=True, slots=True)
class Separation:
    """How well `scorer` tells true pairs from one kind of damage: AUROC, and the ends of its 95 % interval."""

    id: str
    scorer: str
    kind: str
    pairs: int
    auroc: float
    low: float
    high: float


UNSCORED = "no score: "
"""What begins the reason, in `Judgement.raw`, for which there is no score."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a scorer said of one candidate.

    `score` is on the scorer's scale, None when the answer held no score ("unscored"). `distribution` is the probability
    of each level from the lowest up, summing to 1, or empty when there is none; `mass` is the share of the model's whole
    probability that fell on the levels (a small one says that it had other words in mind). Over several samples, both are
    means. `raw` is the model's own text, one for each sample, if it wrote any, so that another parser costs no model time;
    then, for each sample that gave no score, `UNSCORED` and why.
    `losses`, of `ifd` alone, are mean nats per token of the output: given the instruction, and without it.
    """

    id: str
    candidate_id: str
    scorer: str
    score: float | None
    distribution: list[float]
    mass: float | None
    raw: list[str]
    losses: list[float]
    prompt_id: str
    model_id: str


@dataclass(frozen=True, slots=True)
class Loss:
    """Loss of one held-out example under one model: `nats` summed over `tokens` output tokens.

    `nats` is under the tag that the example's origin has in training; `nats_augmented` is under S_w and `nats_inference`
    under S_a + S_w, where the recipe asks for them (`evaluate.tags`).
    """

    id: str
    example_id: str
    model_id: str
    nats: float
    tokens: int
    nats_augmented: float | None = None
    nats_inference: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model, or a file, answered to a prompt of an evaluation set; `finished` says that it ended by itself."""

    id: str
    example_id: str
    instruction: str
    output: str
    model_id: str
    tokens: int
    finished: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a judge said of a model's and a baseline's answer to one prompt, shown in one order.

    `first` is "model" or "baseline": whose answer stood first. `preference` is the probability, of the two choices, that
    the model's answer is the better one, None when there is none ("unscored"; `raw` says why); `mass` is the share of the
    judge's whole probability that fell on the two choices.
    """

    id: str
    example_id: str
    first: str
    preference: float | None
    mass: float | None
    model_chars: int
    baseline_chars: int
    raw: str
    prompt_id: str
    model_id: str
    baseline_id: str
    judge_id: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that went no further, and why.

    `outcome` is "rejected" (a rule spoke) or "failed" (it could not be read or processed). `stage` names the counting
    stage, `rule` the rule, `detail` the value found and the limit. `text` is the beginning of what was dropped.
    """

    id: str
    stage: str
    rule: str
    detail: str
    outcome: str
    uri: str
    text: str

    EXCERPT: typing.ClassVar[int] = 2000


def reject(id: str, stage: str, rule: str, detail: str = "", *, uri: str = "", text: str = "") -> Rejection:
    """Say that a rule dropped a record."""
    return Rejection(id, stage, rule, detail, "rejected", uri, text[: Rejection.EXCERPT])


def fail(id: str, stage: str, rule: str, detail: str = "", *, uri: str = "", text: str = "") -> Rejection:
    """Say that a record could not be read or processed."""
    return Rejection(id, stage, rule, detail, "failed", uri, text[: Rejection.EXCERPT])


KINDS = (
    *(Segment, Example, Lesson, Candidate, Probe, Separation, Judgement, Loss),
    *(EvalPrompt, Answer, Comparison, Rejection),
)
RECORDS: dict[str, type] = {kind.__name__: kind for kind in KINDS}


@lru_cache
def schema(kind: type) -> "pa.Schema":
    """Return the Parquet schema of a record class, read off its annotations; the record's name is in the metadata."""
    import pyarrow as pa

    return pa.schema(_fields(kind), metadata={"askback.record": kind.__name__})


def _fields(kind: type) -> "list[pa.Field]":
    import pyarrow as pa

    hints = typing.get_type_hints(kind)
    fields = []
    for spec in dataclasses.fields(kind):
        hint = hints[spec.name]
        nullable = isinstance(hint, types.UnionType)
        plain = next(arg for arg in typing.get_args(hint) if arg is not type(None)) if nullable else hint
        fields.append(pa.field(spec.name, _type(plain), nullable=nullable))
    return fields


def _type(hint: Any) -> "pa.DataType":
    import pyarrow as pa

    if typing.get_origin(hint) in (list, tuple):
        return pa.list_(_type(typing.get_args(hint)[0]))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return pa.struct(_fields(hint))
    if typing.get_origin(hint) is Literal:
        return pa.string()
    return {str: pa.string(), int: pa.int64(), bool: pa.bool_(), float: pa.float64()}[hint]
