"""From text to tokens: what a template writes may be a control token, and what anybody says never is.

A tokenizer's own call finds its added tokens anywhere in a text. Here its backend works without those that control: where
the template writes one, a mark stands for its id, and in what is said the same characters are encoded as any others.
Markers of a template that are ordinary tokens (Llama 2's ``[INST]``) get an invisible word joiner in what is said, as
nothing else tells them apart.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from askback.prompts.scaffolding import joined

MARK = "\ufdd0"
"""A code point that Unicode keeps for use within a program; it is removed from what is said."""
CUT = f"{MARK}-{MARK}"
"""A border that no token crosses, without an id of its own."""
TAG = re.compile(r"<{1,2}[^<>\n]{1,60}>{1,2}|\[[^\[\]\n]{1,40}\]")
"""The form of a marker that is no word."""
LINE = 40
"""Largest number of characters of a line that tells who speaks, as in ``### Response:``."""


class Coder:
    """Encodes what a template writes and what is said in it.

    Args:
        own: texts that the template writes between those of a conversation.
        border: that between a user's turn and the answer to it.
    """

    def __init__(self, tokenizer: Any, own: Sequence[str], border: str) -> None:
        added = tokenizer.added_tokens_decoder
        written = "\0".join(own)
        self._control = {str(token): id for id, token in added.items() if _controls(token, written)}
        self._controls = _any_of(map(re.escape, sorted(self._control, key=len, reverse=True)))
        self._plain = _any_of(_plain_markers(own, border, self._controls))
        self._never = set(self._control.values())
        if tokenizer.unk_token_id not in (tokenizer.eos_token_id, tokenizer.bos_token_id):
            self._never.discard(tokenizer.unk_token_id)  # it ends and begins nothing, and unknown characters are such
        self._backend, self._ids = _backend(tokenizer, self._control)

    def own(self, text: str) -> str:
        """Return the form for `encode` of a text that the template writes."""
        return self._controls.sub(lambda found: f"{MARK}{self._control[found[0]]}{MARK}", text)

    def said(self, text: str) -> str:
        """Return the form for `encode` of a text that anybody says."""
        return self._plain.sub(lambda found: joined(found[0]), text.replace(MARK, ""))

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text made of `own` and `said`.

        Where a tokenizer's model makes a control token of plain characters, as a unigram model may, they are cut apart; one
        that is still made, as of an unknown character, is left out.
        """
        while True:
            found = self._backend.encode(text, add_special_tokens=False)
            forged = [] if self._never.isdisjoint(found.ids) else self._forged(found)
            if not forged:
                ids = (self._ids.get(id, id) for id in found.ids if id not in self._never)
                return [id for id in ids if id >= 0]
            for start in sorted(set(forged), reverse=True):
                text = f"{text[: start + 1]}{CUT}{text[start + 1 :]}"

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where each token of a text begins and ends, without the changes that `said` and `encode` make."""
        return list(self._backend.encode(text, add_special_tokens=False).offsets)

    def _forged(self, found: Any) -> list[int]:
        both = zip(found.ids, found.offsets, strict=True)
        return [start for id, (start, end) in both if id in self._never and end - start > 1]


def _controls(token: Any, written: str) -> bool:
    """Return whether an added token is one that controls: a special one, a tag, or one that the template writes.

    Others are words that somebody has added to the vocabulary.
    """
    text = str(token)
    if len(text) < 2:
        return False
    return bool(token.special or TAG.fullmatch(text) or (text.strip() and text in written))


def _plain_markers(own: Sequence[str], border: str, controls: re.Pattern[str]) -> list[str]:
    """Return patterns of the markers among a template's ordinary text: tags, and, where no control token is between a turn
    and its answer, the lines that tell who speaks."""
    pieces = [piece for text in own for piece in controls.split(text)]
    tags = {tag for piece in pieces for tag in TAG.findall(piece)}
    lines = {line.strip() for piece in pieces for line in piece.split("\n")}
    lines = {line for line in lines if 1 < len(line) <= LINE and not line.isalnum()}
    if controls.search(border):
        lines = set()
    return [*map(re.escape, sorted(tags)), *(rf"(?<!\S){re.escape(line)}" for line in sorted(lines))]


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns) or "(?!)")


def _backend(tokenizer: Any, control: dict[str, int]) -> tuple[Any, dict[int, int]]:
    """Return a backend that finds marks in place of control tokens, and the ids that its added tokens stand for."""
    from tokenizers import AddedToken, Tokenizer

    given = tokenizer.backend_tokenizer
    made: Any = Tokenizer(given.model)
    made.normalizer, made.pre_tokenizer = given.normalizer, given.pre_tokenizer
    # New tokens are numbered from the number of words on, and some vocabularies have gaps.
    above = max(given.get_vocab(with_added_tokens=True).values()) + 1 - given.get_vocab_size(with_added_tokens=False)
    made.add_tokens([AddedToken(f"{MARK}+{number}{MARK}", normalized=False) for number in range(above)])
    ids = {CUT: -1}
    tokens = [AddedToken(CUT, normalized=False)]
    for id, token in tokenizer.added_tokens_decoder.items():
        if str(token) not in control:
            tokens.append(token)
            ids[str(token)] = id
            continue
        mark = f"{MARK}{id}{MARK}"
        flags = {"single_word": token.single_word, "lstrip": token.lstrip, "rstrip": token.rstrip}
        tokens.append(AddedToken(mark, normalized=False, **flags))
        ids[mark] = id
    made.add_tokens(tokens)
    return made, {made.token_to_id(text): id for text, id in ids.items()}
