"""An engine without a model: its answers are made from hashes of the prompts. For tests, dry runs and benchmarks.

It passes the contract test of all engines, needs no folder and no torch, and answers tens of thousands of prompts per
second, so the time of a run with it is askback's own.
"""

import math
import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from askback.engines import EngineKind
from askback.engines.protocol import CALLS, Completion, Likelihood, Sampling
from askback.engines.worker_context import WorkerContext
from askback.prompts.prompt import Prompt
from askback.recipe import EngineOptions

if TYPE_CHECKING:
    from askback.engines.protocol import States

_CHARS_PER_TOKEN = 4
_WORD = re.compile(r"[^\W\d_]{4,}")
_TAG = re.compile(r"<\w+>")
_ANSWERED = "--- question "
"""Shows a text with a question whose answer is wanted (prompts/answer.txt)."""
_ASKED = (
    "What should I know about {0} and {1}?",
    "Explain how {0} relates to {1}.",
    "Could you describe {0} in terms of {1}?",
    "Why does {0} matter for {1}?",
    "Write a short introduction to {0} and {1}.",
    "Give me an overview of {0}, and say where {1} comes in.",
    "How would you go about {0} when {1} is involved?",
    "Summarise what is known of {0} and {1}.",
)
_OTHER = 0.05
"""Probability of anything but the choices."""


class Scripted:
    """Answers made from hashes; the same prompt and seed give the same answer (`Engine` in protocol.py)."""

    calls = CALLS

    def __init__(
        self,
        model_folder: str = "",
        options: EngineOptions | None = None,
        chat_template: str = "",
        worker: WorkerContext | None = None,
    ) -> None:
        """Take the arguments of every engine; only the worker is used."""
        self._usage = (worker or WorkerContext()).usage

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """Return a question about two words of each prompt; where an answer is wanted, a text of the prompt, between tags
        where it begins with one."""
        answers = []
        for prompt, seed in zip(prompts, seeds, strict=True):
            made = _between if _TAG.fullmatch(prompt.answer_start) or _ANSWERED in prompt.text else _question
            text = made(prompt, seed if sampling.temperature > 0 else 0)
            answers.append(_complete(text, sampling.max_new_tokens))
        self._usage.count(_read(prompts), sum(answer.tokens for answer in answers))
        return answers

    def choose(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[list[float]]:
        """Return log-probabilities of a distribution with one clear favourite."""
        self._usage.count(_read(prompts))
        return [_distribution(_hash(prompt.text + prompt.answer_start), len(choices)) for prompt in prompts]

    def loglikelihood(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[Likelihood]:
        """Return between 1 and 4 nats of loss per token, a token being four characters, and one for the stop."""
        answers = []
        for prompt, text in zip(prompts, continuations, strict=True):
            tokens = _length(text.strip()) + 1
            share = _hash(f"{prompt.text}\0{prompt.answer_start}\0{text}")[0] / 255
            answers.append(Likelihood(-(1 + 3 * share) * tokens, tokens))
        self._usage.count(_read(prompts) + sum(answer.tokens for answer in answers))
        return answers

    def represent(self, prompts: Sequence[Prompt], answers: Sequence[str], depths: Sequence[float]) -> "list[States]":
        """Return states of a width of 8, between 0 and 1."""
        import numpy as np

        found = []
        for prompt, text in zip(prompts, answers, strict=True):
            digests = [_hash(f"{prompt.text}\0{prompt.answer_start}\0{text}\0{depth}") for depth in depths]
            numbers = np.frombuffer(b"".join(digests), np.uint8).reshape(len(depths), 2, 8)
            found.append((numbers / 255).astype(np.float32))
        self._usage.count(_read(prompts) + sum(_length(text.strip()) + 1 for text in answers))
        return found

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the whole words at the start of `text` that take at most four characters per token."""
        most = max_tokens * _CHARS_PER_TOKEN
        if len(text) <= most:
            return text
        head = text[:most]
        words = head.rsplit(maxsplit=1)
        return head if text[most].isspace() or len(words) < 2 else words[0]


def _hash(text: str, seed: int = 0) -> bytes:
    return blake2b(
        text.encode("utf-8", "surrogatepass"), digest_size=16, salt=(seed % 2**64).to_bytes(8, "big")
    ).digest()


def _length(text: str) -> int:
    return -(-len(text) // _CHARS_PER_TOKEN)


def _read(prompts: Sequence[Prompt]) -> int:
    return sum(_length(prompt.text) + _length(prompt.answer_start) for prompt in prompts)


def _between(prompt: Prompt, seed: int) -> str:
    """Return the longest line of a prompt, less its first sentence, and a closing tag: one in eight is unclosed, and one
    has an invented number."""
    kind = _hash(prompt.text, seed)[0] % 8
    line = max(prompt.text.splitlines(), key=len)
    text = line.partition(". ")[2] or line
    closing = prompt.answer_start.replace("<", "</")
    return text if kind == 0 else f"{text}{' It took 4711 years.' * (kind == 1)}{closing}"


def _question(prompt: Prompt, seed: int) -> str:
    text = prompt.text
    digest = _hash(text, seed)
    # Two windows rather than all words: a prompt is thousands of characters long.
    words = []
    for half, stand_in in ((digest[:4], "this"), (digest[4:8], "that")):
        at = int.from_bytes(half, "big") % max(1, len(text) - 40)
        found = _WORD.search(text, at)
        words.append(found[0].lower() if found else stand_in)
    return _ASKED[digest[8] % len(_ASKED)].format(*words)


def _complete(text: str, max_tokens: int) -> Completion:
    tokens = _length(text)
    if tokens <= max_tokens:
        return Completion(text, tokens, True)
    return Completion(text[: max_tokens * _CHARS_PER_TOKEN], max_tokens, False)


def _distribution(digest: bytes, count: int) -> list[float]:
    """Return log-probabilities that sum to 1 - `_OTHER`, by weights read off the digest; one is made the favourite."""
    weights = [digest[at % len(digest)] + 1.0 for at in range(count)]
    if count:
        weights[digest[-1] % count] += 8192
    total = sum(weights) / (1 - _OTHER)
    return [math.log(weight / total) for weight in weights]


ENGINE = EngineKind(
    "askback.engines.scripted:Scripted",
    counts=("kind", "dtype"),
    preload="askback.engines.scripted",
    rate=1_000_000,
)
