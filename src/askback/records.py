"""Every record that is written to disk.

One small record travels through the rooms: a `Document` is cut into `Segment`s, the backward model turns a segment into a
`Candidate`, the forward model writes a `Judgement` of it, and a chosen candidate becomes an `Example`, as the seed pairs
are. Whatever is dropped on the way becomes a `Rejection`. A field has the same name in all of them.

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
    """Return a stable id of `parts`, 16 hex digits; ("ab", "c") and ("a", "bc") have different ones."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big"))
        digest.update(encoded)
    return digest.hexdigest()[:16]


DRAWS = 2**63
"""`draw` returns an integer in [0, DRAWS)."""


def draw(random_seed: int, *parts: object) -> int:
    """Return an integer in [0, DRAWS) that depends on its arguments alone: the one source of randomness.

    It seeds the sampling of a record, or orders records at random; so neither order nor worker count changes a result.
    """
    text = " ".join(map(str, (random_seed, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a text is from, as its source states it; "" where it states nothing.

    `uri` names the document or row, `source` its format and file. `licence` is an SPDX expression, a URL or the source's
    own words, `language` an ISO 639-1 code. `date` is the day of publication, YYYY-MM-DD.
    """

    uri: str = ""
    source: str = ""
    licence: str = ""
    language: str = ""
    title: str = ""
    author: str = ""
    date: str = ""


Origin = Literal["seed", "natural", "augmented"]
Split = Literal["train", "held-out"]


@dataclass(frozen=True, slots=True)
class Document:
    """One page as a reader found it, never written to disk. `text` includes the markup; the rest is as in `Provenance`."""

    uri: str
    text: str
    markup: Markup
    source: str
    title: str = ""
    licence: str = ""
    date: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """The text under one header: the y of the method. `header_path` runs from the page's top header to this one's."""

    id: str
    text: str
    header_path: list[str]
    provenance: Provenance
    part: int = 0
    """Which part, from 1, of the text under the header, where that was too long and was cut; 0 is all of it."""
    split: Split = "train"
    """"held-out" of a document that is set aside: no model is trained on it, and all are measured on it."""
    lead: bool = False
    """Whether it is only the text before the first header below its own."""


Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation. `segment_id` names the segment that an assistant's turn was taken from, "" if none."""

    role: Role
    content: str
    segment_id: str = ""


def exchange(instruction: str, output: str, segment_id: str = "") -> tuple[Message, ...]:
    """Return the messages of a conversation of one exchange."""
    return Message("user", instruction), Message("assistant", output, segment_id)


@dataclass(frozen=True, slots=True)
class Conversation:
    """The turns of a user and an assistant; the last turn is the assistant's."""

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


@dataclass(frozen=True, slots=True)
class Example(Conversation):
    """A conversation to train or measure on.

    `origin` tells who wrote the instructions: "seed" a person, as the user's pairs, "natural" a person, as the header of a
    document (corpus/natural.py), "augmented" the backward model. Held-out examples are never trained on. `quality`, as in
    "3 of 5", is the quantile of the score where `select.bins` is given; it is part of the prompt.
    `human_reviewed`: a person has looked at the pair and wanted it (curate/label_file.py).
    """

    origin: Origin
    split: Split
    score: float | None = None
    quality: str = ""
    human_reviewed: bool = False
    original: str = ""
    """The output as its document has it, where the output is a rewrite of that; "" else."""


@dataclass(frozen=True, slots=True)
class Lesson(Conversation):
    """A conversation that the judge learns to rate with `score` (curate/teach.py); its output is not learnt."""

    score: float


@dataclass(frozen=True, slots=True)
class Candidate(Conversation):
    """A segment with an instruction that the backward model wrote for it (the paper's set A).

    `random_seed` is the seed with which the instruction was sampled, `style` the wording that was asked for (method
    `prompted`), "" if none was.
    """

    header_path: list[str]
    prompt_id: str
    model_id: str
    random_seed: int
    style: str = ""


@dataclass(frozen=True, slots=True)
class Probe(Conversation):
    """A conversation that a judge is tested on, in place of a candidate.

    `kind` is "true" for a pair as people wrote it, a kind of damage (curate/damage.py), "scrambled" for shuffled words,
    "labelled" for a pair that people rated, or "compared" for one of two that they compared; these have a `label`, of
    those compared 1 of the better one, 0 of the other, and 0.5 of both in a tie. Probes made of one pair, and the two
    compared, share `pair_id`.
    """

    pair_id: str
    kind: str
    label: float | None = None


@dataclass(frozen=True, slots=True)
class EvalPrompt:
    """A prompt of an evaluation set: messages, the last one a user's. `reference` is a person's answer, "" for none."""

    id: str
    messages: tuple[Message, ...]
    reference: str
    provenance: Provenance

    @property
    def instruction(self) -> str:
        """The last turn, which the model answers."""
        return self.messages[-1].content


@dataclass(frozen=True, slots=True)
class Separation:
    """AUROC of `scorer` between true pairs and one kind of damage, with the ends of its 95 % interval."""

    id: str
    scorer: str
    kind: str
    pairs: int
    auroc: float
    low: float
    high: float


UNSCORED = "no score: "
"""Prefix of an entry of `Judgement.raw` that gives the reason for a missing score."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A scorer's judgement of one candidate.

    `score` is on the scorer's scale, None where there is none ("unscored"). `distribution` holds the probability of each
    level from the lowest up, summing to 1, or is empty; `mass` is the model's total probability of all levels before
    normalisation (a small one means that the model would rather write something else). Over several samples, both are
    means. `raw` holds the texts that the model wrote, one per sample, so that another parser costs no model time; then,
    for each sample without a score, `UNSCORED` and the reason. `losses`, of `ifd` alone, are the mean losses of the output
    in nats per token: with the instruction, and without.
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
    """Loss of one held-out example under one model: `nats`, the sum over `tokens` output tokens.

    `nats` is measured with the tag that the example's origin has in training, `nats_seed` with S_a, `nats_augmented` with
    S_w and `nats_inference` with S_a + S_w, where the recipe asks for them (`evaluate.tags`). `set` names the pairs that it
    is one of where these are measured beside the two sides that the gate looks at, "" else.
    """

    id: str
    example_id: str
    model_id: str
    nats: float
    tokens: int
    nats_augmented: float | None = None
    nats_inference: float | None = None
    nats_seed: float | None = None
    set: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a model, or from a file, to a prompt of an evaluation set; `finished`: it has the stop token."""

    id: str
    example_id: str
    instruction: str
    output: str
    model_id: str
    tokens: int
    finished: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """A judge's comparison of a model's and a baseline's answer to one prompt, in one order.

    `first` is "model" or "baseline": whose answer is shown first. `preference` is the probability, normalised over the two
    choices, that the model's answer is the better one, None where there is none ("unscored"; `raw` holds the reason);
    `mass` is the judge's total probability of the two choices before normalisation.
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
    """A dropped record, and the reason.

    `outcome` is "rejected" (by a rule) or "failed" (it could not be read or processed). `stage` names the stage in whose
    counts it is, `rule` the rule, `detail` the value found and the limit. `text` is the beginning of the dropped text.
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
    """Return the rejection of a record that a rule drops."""
    return Rejection(id, stage, rule, detail, "rejected", uri, text[: Rejection.EXCERPT])


def fail(id: str, stage: str, rule: str, detail: str = "", *, uri: str = "", text: str = "") -> Rejection:
    """Return the rejection of a record that could not be read or processed."""
    return Rejection(id, stage, rule, detail, "failed", uri, text[: Rejection.EXCERPT])


KINDS = (
    *(Segment, Example, Lesson, Candidate, Probe, Separation, Judgement, Loss),
    *(EvalPrompt, Answer, Comparison, Rejection),
)
RECORDS: dict[str, type] = {kind.__name__: kind for kind in KINDS}


@lru_cache
def schema(kind: type) -> "pa.Schema":
    """Return the Parquet schema of a record class, from its annotations; the metadata has the record's name."""
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
