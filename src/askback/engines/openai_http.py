"""Any server that speaks OpenAI's protocol, asked over HTTP: completions by tokens, or chat.

With the tokenizer of the model that the server runs, prompts are rendered here (`prompts.render`) and sent as tokens, so
that they are, token by token, those of training; choices and likelihoods are exact. Without, the user's turn is sent as a
chat message and the server renders it.
"""

import hashlib
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from askback.config import Engine as EngineOptions
from askback.engines.base import CALLS, Completion, Likelihood, Prompt, Sampling
from askback.engines.batching import common_prefix
from askback.engines.endpoint import ContentRefused, Endpoint, Refused
from askback.engines.offers import CHAT, COMPLETIONS, find_out
from askback.errors import InputError
from askback.prompts import render, render_pair

BYTES_PER_TOKEN = 4
"""Taken for the length of a token where there is no tokenizer: about right for English prose, and on the safe side for
scripts that take several bytes a character."""


class OpenAIHttp:
    """A model behind a server (`Engine` in base.py). `calls` says, after one small question, what it can be asked.

    Sampling by seed is the server's promise, not ours: with other requests in its batch, a last bit may differ.

    Args:
        model_folder: not used: a server has a model of its own.
        options: where it is, and how to ask (config.Engine).
        chat_template: path of a template to use in place of that of `options.tokenizer`.

    Raises:
        InputError: the server cannot be reached, or lacks the model; the key is not set or refused.
        MissingExtra: httpx2, or transformers where a tokenizer is given, is not installed.
    """

    calls = CALLS

    def __init__(self, model_folder: str, options: EngineOptions, chat_template: str = "") -> None:
        self._endpoint = Endpoint(options)
        self._model = options.model or _only_model(self._endpoint)
        self._tokenizer = _tokenizer(options.tokenizer, chat_template) if options.tokenizer else None
        self._chat = options.api == "chat" or (options.api == "auto" and self._tokenizer is None)
        self._path = CHAT if self._chat else COMPLETIONS
        hello = [] if self._chat else render(self._tokenizer, Prompt("Is it raining?"))
        self._offers = find_out(self._endpoint, self._model, hello)
        self.calls = self._offers.calls
        if self.calls != CALLS:
            logging.getLogger(__name__).warning(self.describe())

    def describe(self) -> str:
        """Say in a line what was found."""
        how = "chat" if self._chat else "completions, prompts sent as tokens"
        lacks = ", ".join(sorted(CALLS - self.calls))
        lacking = f"; cannot {lacks} ({self._offers.lacking})" if lacks else ""
        return f"{self._endpoint.url}: model {self._model}, {how}; can {', '.join(sorted(self.calls))}{lacking}"

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """Draw one answer per prompt; where there is none, its `error` says why."""
        payloads = []
        for prompt, seed in zip(prompts, seeds, strict=True):
            drawing = {"temperature": sampling.temperature, self._offers.length: sampling.max_new_tokens}
            if sampling.temperature > 0:
                drawing |= {"top_p": sampling.top_p, "seed": _seed(seed)}
            payloads.append(self._payload(prompt) | drawing)
        found = self._endpoint.ask_all(self._path, payloads, self._read_text)
        return [self._completion(prompt, answer) for prompt, answer in zip(prompts, found, strict=True)]

    def choose(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[list[float]]:
        """Return, per prompt, the log-probability of each choice; of NaNs where the server gave no answer.

        Over chat, a choice that is not among the most likely tokens gets the most that is left for it, an upper bound.
        """
        self._must("choose")
        if self._chat:
            payloads = [
                self._payload(prompt) | self._offers.asking | {"temperature": 0, self._offers.length: 8}
                for prompt in prompts
            ]
            found = self._endpoint.ask_all(CHAT, payloads, _read_tokens)
            return [_choices_in(answer, prompt, choices) for prompt, answer in zip(prompts, found, strict=True)]
        return self._choose_by_tokens(prompts, choices)

    def loglikelihood(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[Likelihood]:
        """Return how likely each continuation is as the whole answer; NaN where the server gave no answer."""
        pairs = [
            render_pair(self._tokenizer, prompt, text) if self._tokenizer else ([], [])
            for prompt, text in zip(prompts, continuations, strict=True)
        ]
        self._must("loglikelihood")
        return [
            Likelihood(math.fsum(values), len(answer))
            for values, (_, answer) in zip(self._logprobs(pairs), pairs, strict=True)
        ]

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the beginning of `text` that is at most `max_tokens` long, by `BYTES_PER_TOKEN` without a tokenizer."""
        if self._tokenizer is not None:
            from askback.engines.checkpoint import truncate

            return truncate(self._tokenizer, text, max_tokens)
        encoded = text.encode("utf-8", "surrogatepass")
        if len(encoded) <= max_tokens * BYTES_PER_TOKEN:
            return text
        return encoded[: max_tokens * BYTES_PER_TOKEN].decode("utf-8", "ignore")

    def _must(self, call: str) -> None:
        if call not in self.calls:
            raise InputError(f"{self.describe()}; use another server, or give `tokenizer` if it has a completions API")

    def _payload(self, prompt: Prompt) -> dict[str, Any]:
        if not self._chat:
            return {"model": self._model, "prompt": render(self._tokenizer, prompt)}
        turns = [{"role": "user", "content": prompt.user}]
        if prompt.answer_start and self._offers.prefill:
            turns.append({"role": "assistant", "content": prompt.answer_start})
            return {"model": self._model, "messages": turns} | self._offers.prefill
        return {"model": self._model, "messages": turns}

    def _read_text(self, body: Any, _: dict[str, Any]) -> dict[str, Any]:
        choice = body["choices"][0]
        text = choice["message"]["content"] if self._chat else choice["text"]
        if choice["finish_reason"] not in ("stop", "length"):
            raise ContentRefused(f"the server ended its answer with '{choice['finish_reason']}'")
        if not isinstance(text, str):
            raise ContentRefused("the server's answer holds no text")
        tokens = (body.get("usage") or {}).get("completion_tokens") or -(-len(text) // BYTES_PER_TOKEN)
        return {"text": text, "tokens": int(tokens), "finished": choice["finish_reason"] == "stop"}

    def _completion(self, prompt: Prompt, found: Any) -> Completion:
        if isinstance(found, Refused):
            return Completion("", 0, False, found.reason)
        # Without prefill, or where a server starts its answer anew, the start comes again.
        text = found["text"].removeprefix(prompt.answer_start) if self._chat else found["text"]
        return Completion(text, found["tokens"], found["finished"])

    def _choose_by_tokens(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[list[float]]:
        """Ask for each token of each choice by its id, once after each beginning, or else measure each choice whole."""
        asked: list[tuple[list[int], list[int]]] = []
        for prompt in prompts:
            alone = render(self._tokenizer, prompt)
            whole = [render(self._tokenizer, Prompt(prompt.user, prompt.answer_start + choice)) for choice in choices]
            same = common_prefix([alone, *whole])
            asked += [(alone[:same], ids[same:]) for ids in whole]
        measure = self._by_next_tokens if self._offers.by_id else self._logprobs
        sums = map(math.fsum, measure(asked))
        return [[next(sums) for _ in choices] for _ in prompts]

    def _by_next_tokens(self, pairs: Sequence[tuple[list[int], list[int]]]) -> list[list[float]]:
        """Return what `_logprobs` does, by asking what comes next after every beginning; cheap for a few tokens, and what
        prompts share is read once by a server that keeps prefixes."""
        wanted: dict[tuple[int, ...], list[int]] = {}
        for context, answer in pairs:
            for at, token in enumerate(answer):
                tokens = wanted.setdefault((*context, *answer[:at]), [])
                if token not in tokens:
                    tokens.append(token)
        payloads = [
            {"model": self._model, "prompt": list(beginning), "max_tokens": 1, "temperature": 0}
            | self._offers.asking
            | {"logprob_token_ids": tokens}
            for beginning, tokens in wanted.items()
        ]
        found = dict(zip(wanted, self._endpoint.ask_all(COMPLETIONS, payloads, _read_next), strict=True))
        return [
            [_of(found[(*context, *answer[:at])], token) for at, token in enumerate(answer)]
            for context, answer in pairs
        ]

    def _logprobs(self, pairs: Sequence[tuple[list[int], list[int]]]) -> list[list[float]]:
        """Return the log-probabilities of the tokens of each answer after its context."""
        payloads = [
            {"model": self._model, "prompt": context + answer, "max_tokens": 1, "temperature": 0} | self._offers.reading
            for context, answer in pairs
        ]
        found = self._endpoint.ask_all(COMPLETIONS, payloads, self._offers.read_prompt)
        return [
            [math.nan] if isinstance(values, Refused) else values[len(context) : len(context) + len(answer)]
            for values, (context, answer) in zip(found, pairs, strict=True)
        ]


def _only_model(endpoint: Endpoint) -> str:
    names = endpoint.models()
    if isinstance(names, Refused) or len(names) != 1:
        said = names.reason if isinstance(names, Refused) else f"it has {', '.join(names[:8]) or 'none'}"
        raise InputError(f"{endpoint.url}: which model? {said}; give its name with `model`")
    return names[0]


def _tokenizer(folder: str, chat_template: str) -> Any:
    from askback.engines.checkpoint import load_tokenizer

    return load_tokenizer(Path(folder).expanduser(), chat_template)


def _seed(seed: int) -> int:
    """Return a seed that any server takes: 31 bits."""
    return int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=4).digest(), "big") >> 1


def _read_next(body: Any, payload: dict[str, Any]) -> dict[str, float]:
    likely = body["choices"][0]["logprobs"]["top_logprobs"][0]
    return {str(token): float(likely[f"token_id:{token}"]) for token in payload["logprob_token_ids"]}


def _of(found: Any, token: int) -> float:
    return math.nan if isinstance(found, Refused) else float(found[str(token)])


def _read_tokens(body: Any, _: dict[str, Any]) -> list[list[Any]]:
    """Return, of each token written, its text, its log-probability, and those of the most likely in its place."""
    content = body["choices"][0]["logprobs"]["content"]
    if not content:
        raise ValueError("no log-probabilities")
    return [
        [token["token"], token["logprob"], [[one["token"], one["logprob"]] for one in token["top_logprobs"]]]
        for token in content
    ]


def _choices_in(tokens: Any, prompt: Prompt, choices: Sequence[str]) -> list[float]:
    """Find where the answer gives its choice, right after `answer_start` or at once, and read the choices there.

    Spaces do not count: " 4" and "4" are one choice, whose probabilities add up.
    """
    if not isinstance(tokens, Refused):
        said, before = "", 0.0
        wanted = {choice.strip(): at for at, choice in enumerate(choices)}
        for text, logprob, likely in tokens:
            if said.strip() in ("", prompt.answer_start.strip()) and text.strip() in wanted and likely:
                return [before + value for value in _shares(likely, wanted)]
            before = before + logprob if not text.strip() else 0.0
            said += text
    return [math.nan] * len(choices)


def _shares(likely: list[list[Any]], wanted: dict[str, int]) -> list[float]:
    shares = [0.0] * len(wanted)
    for text, logprob in likely:
        if text.strip() in wanted:
            shares[wanted[text.strip()]] += math.exp(logprob)
    left = max(1e-9, 1 - sum(math.exp(logprob) for _, logprob in likely))
    bound = max(1e-30, min(left, min(math.exp(logprob) for _, logprob in likely)))
    return [math.log(share or bound) for share in shares]
