"""Evaluation prompts in what a model is to be trained on (method.md 6.4; the paper has no such check)."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from askback.errors import InputError
from askback.inputs.local_files import Stamp, stamp
from askback.inputs.rows import BrokenRow, read_rows
from askback.text.words import in_a_row, join, words

NGRAM = 13
"""Number of consecutive words that a text and a prompt may not share, as usual since GPT-3."""
SHORTEST = 6
"""Smallest number of words of a prompt that is searched for; one of fewer than 13 words has to be in a text as a whole.
In scripts without spaces both numbers are in letters (`in_a_row`)."""
FIELDS = ("instruction", "prompt", "question", "text")
"""Fields that may hold a row's prompt, the first that is there; else the first of `turns`."""


class EvaluationPrompts:
    """Prompts of evaluation sets that are searched for in texts, without case and punctuation."""

    def __init__(self, prompts: Iterable[tuple[str, str]]) -> None:
        """Take (place, prompt) pairs."""
        self._whole: dict[tuple[str, ...], list[str]] = {}
        """The places of each prompt: several where two differ in punctuation or case alone."""
        self._starts: dict[tuple[str, ...], list[tuple[tuple[str, ...], tuple[str, ...]]]] = {}
        for where, prompt in prompts:
            asked = tuple(words(prompt))
            if not asked:
                continue
            self._whole.setdefault(asked, []).append(where)
            if len(self._whole[asked]) > 1:
                continue
            if len(asked) < in_a_row(asked, SHORTEST):
                continue
            length = in_a_row(asked, NGRAM)
            for start in range(max(len(asked) - length, 0) + 1):
                run = asked[start : start + length]
                self._starts.setdefault(run[:SHORTEST], []).append((asked, run))

    def found_in(self, text: str) -> str | None:
        """Return, in words, what `text` shares with a prompt: 13 consecutive words, or all of a prompt of 6 to 12 words.

        None if it shares neither. A text that equals a prompt is found whatever its length.
        """
        for where, shared, whole in self.all_in(text):
            if not shared:
                return f"is the prompt {where}, none wanted"
            limit = ", all of it," if whole else ""
            return f"{len(shared)} words in a row{limit} as in {where}, none wanted: {join(shared)!r}"
        return None

    def all_in(self, text: str) -> Iterator[tuple[str, tuple[str, ...], bool]]:
        """Yield, of each prompt that `text` shares something with, its place, the words, and whether these are all of it;
        no words where the text is the prompt."""
        mine = tuple(words(text))
        if mine in self._whole:
            yield from ((where, (), True) for where in self._whole[mine])
        for at in range(len(mine) - SHORTEST + 1):
            for prompt, shared in self._starts.get(mine[at : at + SHORTEST], ()):
                if mine[at : at + len(shared)] == shared:
                    yield from ((where, shared, shared == prompt) for where in self._whole[prompt])


def evaluation_prompts(paths: tuple[str, ...]) -> EvaluationPrompts:
    """Read evaluation prompts from JSON Lines, JSON or Parquet files.

    Raises:
        InputError: a file is missing, broken, or has a row without a prompt, which would not be searched for.
    """
    return _prompts(paths, tuple(stamp(Path(path)) if Path(path).is_file() else None for path in paths))


@lru_cache(maxsize=4)
def _prompts(paths: tuple[str, ...], marks: tuple[Stamp | None, ...]) -> EvaluationPrompts:
    return EvaluationPrompts(pair for path in paths for pair in _read(Path(path)))


def _read(path: Path) -> Iterable[tuple[str, str]]:
    if not path.is_file():
        raise InputError(f"{path}: no such file of evaluation prompts; decontaminate takes .jsonl, .json and .parquet")
    for where, row in read_rows(path):
        if isinstance(row, BrokenRow):
            raise InputError(f"{where}: this evaluation prompt cannot be read: {row}. Mend the file")
        if (prompt := prompt_of(row)) is None:
            fields = ", ".join(str(name)[:40] for name in list(row)[:20])
            allowed = ", ".join(FIELDS)
            raise InputError(f"{where}: no evaluation prompt in fields {fields}; looked for {allowed} and turns")
        yield where, prompt


def prompt_of(row: dict[str, Any]) -> str | None:
    """Return the prompt in a row of an evaluation set, None if there is none."""
    for name in FIELDS:
        if isinstance(value := row.get(name), str):
            return value
    turns = row.get("turns")
    return turns[0] if isinstance(turns, list) and turns and isinstance(turns[0], str) else None
