"""What a step will take and make, as far as that can be known before it is made.

A step function declares its forecast beside itself (`recorded`): a function of the step's options and a `ForecastContext`,
which runs nothing and loads no model. A plan walks a page and asks each step function in turn.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from askback.engines.local.loading import load_tokenizer
from askback.engines.usage import Tokens
from askback.errors import AskbackError
from askback.execution.identity import MODEL
from askback.execution.on_disk import step_record
from askback.execution.shards import Records
from askback.models.builtin import cached
from askback.models.size import parameters
from askback.prompts import render
from askback.prompts.prompt import Prompt
from askback.recipe import Recipe, RecipeFile
from askback.records import Conversation, Example, Lesson, Segment

SAMPLE_PAIRS = 64
"""Pairs that are tokenised at most; a mean over them is off by a tenth at most, and it takes a fraction of a second."""
PACKED = 0.5
"""Bytes on disk for a character of text, in compressed Parquet."""
ROW_BYTES = 250
"""Of a record beside its text: ids, where it is from."""
CHARS_PER_TOKEN = 4.2
"""English prose under common tokenizers."""
TURN_TOKENS = 10
"""What a chat template puts around a user's turn."""

Pair = tuple[str, str]
"""Instruction and output; a segment has no instruction yet."""


@dataclass(frozen=True)
class Pairs:
    """How many records, some of them, and what they are in a training (see records.Example)."""

    count: int = 0
    sample: tuple[Pair, ...] = ()
    held_out: int = 0
    origin: str = "seed"
    tried: tuple[Pair, ...] = ()
    """Of the seed, all held-out pairs."""
    natural: float = 0.0
    """Of segments, the share that is a natural pair."""
    folder: Path = Path()
    """Of the step that makes them."""
    texts: tuple[str, ...] = ()
    """Of triples, the text of each of the sample."""

    @property
    def disk(self) -> int:
        """Bytes that they take on disk, held-out ones left aside."""
        chars = mean(len(instruction) + len(output) for instruction, output in self.sample)
        return round(self.count * (ROW_BYTES + PACKED * chars))


T = TypeVar("T")


def spread(pairs: Sequence[T]) -> tuple[T, ...]:
    """Return `SAMPLE_PAIRS` of these at most, from all over."""
    return tuple(pairs[:: -(-len(pairs) // SAMPLE_PAIRS) or 1])


def mean(values: Iterable[float]) -> float:
    """Return the mean, 0 of nothing."""
    found = list(values)
    return sum(found) / len(found) if found else 0.0


@dataclass(frozen=True)
class Forecast:
    """What a step will take, and the records that it makes."""

    made: Pairs = field(default_factory=Pairs)
    entered: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    model_bytes: int = 0
    """Bytes of disk of its output, if that is a model."""
    scratch: int = 0
    """Bytes of disk that it needs beside its output while it runs."""
    memory: float = 0.0
    """GB of GPU memory that each process of a training needs."""
    notes: tuple[str, ...] = ()
    """Notes on the plan: options that will have no effect, or another one than expected."""
    rows: tuple[str, ...] = ()
    """The pairs, or faults, in the first rows of each file that it reads pairs from."""
    documents: Mapping[str, int] = field(default_factory=dict)
    """Number of documents of each source."""

    @property
    def disk(self) -> int:
        """Bytes of its output."""
        return self.model_bytes + self.made.disk


@dataclass
class Refusals:
    """Errors that a run would end with, in the order it would meet them; `at_once` raises the first instead."""

    at_once: bool = False
    found: list[AskbackError] = field(default_factory=list)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note an error that is raised inside."""
        try:
            yield
        except AskbackError as error:
            if self.at_once:
                raise
            if str(error) not in map(str, self.found):
                self.found.append(error)

    def refuse(self) -> None:
        """Raise the first error, with the others in its message, a line each.

        Raises:
            AskbackError: as the run would, with its exit code.
        """
        if self.found:
            first = self.found[0]
            first.args = ("\n".join(map(str, self.found)),)
            raise first


class Ruler:
    """Lengths in tokens: by a tokenizer, or, where there is none here, by characters."""

    def __init__(self, tokenizer: Any = None) -> None:
        self._tokenizer = tokenizer
        self._known: dict[Prompt | str, float] = {}

    def text(self, text: str) -> float:
        """Return the length of a text, cut nowhere."""
        if self._tokenizer is None:
            return len(text) / CHARS_PER_TOKEN
        if text not in self._known:
            self._known[text] = len(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
        return self._known[text]

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return about the first `max_tokens` tokens of a text."""
        length = self.text(text)
        return text if length <= max_tokens else text[: int(len(text) * max_tokens / length)]

    def prompt(self, prompt: Prompt) -> float:
        """Return the length of a prompt as it is rendered."""
        if prompt not in self._known:
            whole = self.text(prompt.text) + self.text(prompt.answer_start) + TURN_TOKENS
            self._known[prompt] = whole if self._tokenizer is None else len(render(self._tokenizer, prompt))
        return self._known[prompt]

    def answer(self, text: str) -> float:
        """Return the length of an answer with its stop token."""
        return self.text(text) + 1


class Base:
    """The base model, as far as it is here: each part is looked up when it is first asked for."""

    def __init__(self, recipe: Recipe, refusals: Refusals) -> None:
        self._recipe, self._refusals = recipe, refusals

    @cached_property
    def folder(self) -> Path | None:
        """Where it is, None if it is not here."""
        name = self._recipe.base
        if not name:
            return None
        if name.startswith("builtin:"):
            return cached(name)
        return folder if (folder := Path(name).expanduser()).is_dir() else None

    @cached_property
    def parameters(self) -> int:
        """How many numbers its weights are, 0 if nothing says so."""
        return parameters(self.folder, self._recipe.base)

    @cached_property
    def tokenizer(self) -> Any:
        """Its tokenizer, None if that, or the library, is not here."""
        found = None
        with self._refusals.noted():
            found = load_tokenizer(self.folder, self._recipe.chat_template) if self.folder else None
        return found if getattr(found, "chat_template", None) else None

    @cached_property
    def ruler(self) -> Ruler:
        """Lengths in its tokens."""
        return Ruler(self.tokenizer)


@dataclass(frozen=True)
class ForecastContext:
    """What is known when a step is forecast."""

    folder: Path
    """Of the step, which may be begun."""
    inputs: Mapping[str, Sequence[Pairs]]
    """Of its inputs, by name, those that are records: what each set was found to hold."""
    seed: Pairs
    """What people wrote, as instructions are written in its likeness by whichever model."""
    file: RecipeFile
    base: Base
    refusals: Refusals
    source: Path | None = None
    """A run folder that is to tell what this one does not."""

    def pairs(self, name: str) -> Pairs:
        """Return what is known of an input that is one set of records."""
        (found,) = self.inputs[name]
        return found

    def unchanged(self) -> Forecast:
        """Return the forecast of a step that makes a record of each that enters, of its first input."""
        first = next((found for sets in self.inputs.values() for found in sets), Pairs())
        return Forecast(first, first.count)


def finished(folder: Path) -> Forecast:
    """Return what a finished step took in and made; a file that several steps share counts by its share."""
    counts, kept = step_record(folder)["counts"], Records[Any](folder, "")
    entered = next((count["entered"] for count in counts.values()), 0)
    first = next(iter(kept), None)
    origin = first.origin if isinstance(first, Example) else "judgement" if isinstance(first, Lesson) else "augmented"
    # What people wrote is read whole, as each pair says on which side it is.
    rows = list(kept if origin in ("seed", "natural") else islice(kept, 4 * SAMPLE_PAIRS))
    pairs = [("", one.text) for one in rows if isinstance(one, Segment)]
    pairs += [(one.instruction, one.output) for one in rows if isinstance(one, Conversation)]
    held_out = [one for one in rows if isinstance(one, Example) and one.split == "held-out"]
    tried = tuple((one.instruction, one.output) for one in held_out)
    texts = spread([one.original for one in rows if isinstance(one, Example)])
    aside = round(len(kept) * mean(one.split == "held-out" for one in rows if isinstance(one, Segment)))
    made = Pairs(len(kept) - len(tried) - aside, spread(pairs), len(tried) + aside, origin, tried, texts=texts)
    files = [path.stat() for path in folder.glob(f"{MODEL}*/*")]
    return Forecast(made, entered, model_bytes=sum(file.st_size // file.st_nlink for file in files))
