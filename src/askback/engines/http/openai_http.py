"""Any server with OpenAI's protocol: its completions API by tokens, or its chat API.

With the tokenizer of the server's model, prompts are rendered here (`prompts.render`) and sent as tokens, so that they
equal those of training token by token; choices and likelihoods are exact. Without, turns are sent as chat messages, which
the server renders, with their markup made inert.
"""

import hashlib
import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, FiniteFloat, TypeAdapter
from typing_extensions import TypedDict

from askback.engines.batching import common_prefix
from askback.engines.http.blame import Refused
from askback.engines.http.capabilities import CHAT, COMPLETIONS, HELLO, SERVED, drawing, find_out
from askback.engines.http.endpoint import Endpoint
from askback.engines.http.reading import first_choice, read_text
from askback.engines.http.tokens import checked_logprob, choice_in, read_tokens
from askback.engines.protocol import Completion, Likelihood, Sampling, Unanswered
from askback.engines.worker_context import WorkerContext
from askback.errors import InputError
from askback.prompts import inert, render, render_pair, rendering
from askback.prompts.prompt import Prompt, ask
from askback.recipe import EngineOptions
from askback.recipe.variables import hide

if TYPE_CHECKING:
    from askback.engines.protocol import States

BYTES_PER_TOKEN = 4
"""Estimated length of a token where there is no tokenizer: about right for English prose, and too high for scripts of
several bytes per character, which is the safe side."""
CHOICE_TOKENS = 8
"""Tokens that a choice may take after the beginning of the answer."""
Logprob = FiniteFloat | None


class Text(TypedDict):
    """The part of an answer that is cached: its text, its length in tokens, whether it ended with a stop token."""

    text: str
    tokens: Annotated[int, Field(ge=0)]
    finished: bool


TEXT = TypeAdapter(Text)
TOKENS = TypeAdapter(list[tuple[str, Logprob, list[tuple[str, Logprob]]]])
NEXT = TypeAdapter(dict[str, Logprob])
ROW = TypeAdapter(list[Logprob])
Measured = list[float | None] | Refused
"""Log-probabilities of the tokens of an answer, None where the probability is 0 or missing; or why there are none."""


class OpenAIHttp:
    """A model behind a server (`Engine` in protocol.py). `calls` is found by a few small requests.

    Sampling by seed is up to the server: with other requests in its batch, the last bits may differ.

    Args:
        model_folder: not used, as a server has a model of its own.
        chat_template: path of a template to use in place of that of `options.tokenizer`.

    Raises:
        InputError: the server cannot be reached, or lacks the model; the key is not set or refused.
        MissingExtra: httpx2, or transformers where a tokenizer is given, is not installed.
    """

    calls = SERVED

    def __init__(
        self, model_folder: str, options: EngineOptions, chat_template: str = "", worker: WorkerContext | None = None
    ) -> None:
        self._options = options
        self._endpoint = Endpoint(options, worker or WorkerContext())
        self._model = options.model or _only_model(self._endpoint)
        self._tokenizer = _tokenizer(options.tokenizer, chat_template) if options.tokenizer else None
        self._chat = options.api == "chat" or (options.api == "auto" and self._tokenizer is None)
        self._path = CHAT if self._chat else COMPLETIONS
        self._hello = [] if self._chat else render(self._tokenizer, ask(HELLO))
        self._offers = find_out(self._endpoint, options, self._model, self._hello)
        self.calls = self._offers.calls
        if self.calls != SERVED:
            logging.getLogger(__name__).warning(self.describe())

    def describe(self) -> str:
        """Return the server's capabilities in a line."""
        how = "chat" if self._chat else "completions, prompts sent as tokens"
        lacks = ", ".join(sorted(SERVED - self.calls))
        lacking = f"; cannot {lacks} ({self._offers.lacking})" if lacks else ""
        left = f"; left out: {', '.join(self._options.leave_out)}" if self._options.leave_out else ""
        can = ", ".join(sorted(self.calls))
        return hide(f"{self._endpoint.url}: model {self._model}, {how}; can {can}{lacking}{left}")

    def generate(self, prompts: Sequence[Prompt], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """Sample one answer per prompt; where there is none, `error` is the reason."""
        payloads = []
        for prompt, seed in zip(prompts, seeds, strict=True):
            given = drawing(self._options, sampling.temperature, sampling.top_p, _seed(seed))
            payloads.append(self._payload(prompt) | given | {self._offers.length: sampling.max_new_tokens})
        found = self._ask(payloads, self._read_text, TEXT)
        return [self._completion(prompt, answer) for prompt, answer in zip(prompts, found, strict=True)]

    def choose(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[list[float]]:
        """Return, per prompt, the log-probability of each choice; `Unanswered` where the server gave none.

        In the chat API, choices that are not among the most likely tokens share the remaining probability evenly.
        """
        self._must("choose")
        if not self._chat:
            return self._choose_by_tokens(prompts, choices)
        asking = self._offers.asking | self._greedy() | {self._offers.length: CHOICE_TOKENS}
        payloads = [self._payload(prompt) | asking for prompt in prompts]
        found = self._ask(payloads, lambda body, _: read_tokens(body), TOKENS)
        return [
            Unanswered(len(choices), answer.reason)
            if isinstance(answer, Refused)
            else choice_in(answer, prompt, choices)
            for prompt, answer in zip(prompts, found, strict=True)
        ]

    def loglikelihood(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[Likelihood]:
        """Return the likelihood of each continuation as the whole answer; NaN where the server gave none."""
        pairs = [
            render_pair(self._tokenizer, prompt, text) if self._tokenizer else ([], [])
            for prompt, text in zip(prompts, continuations, strict=True)
        ]
        self._must("loglikelihood")
        return [
            _likelihood(values, len(answer)) for values, (_, answer) in zip(self._logprobs(pairs), pairs, strict=True)
        ]

    def represent(self, prompts: Sequence[Prompt], answers: Sequence[str], depths: Sequence[float]) -> "list[States]":
        """Raise InputError: a server with OpenAI's protocol does not return hidden states."""
        raise InputError(f"{self.describe()}; hidden states come from the engine 'transformers' alone")

    def truncate(self, text: str, max_tokens: int) -> str:
        """Return the beginning of `text` of at most `max_tokens` tokens, by `BYTES_PER_TOKEN` without a tokenizer."""
        if self._tokenizer is not None:
            from askback.engines.local.loading import truncate

            return truncate(self._tokenizer, text, max_tokens)
        encoded = text.encode("utf-8", "surrogatepass")
        if len(encoded) <= max_tokens * BYTES_PER_TOKEN:
            return text
        return encoded[: max_tokens * BYTES_PER_TOKEN].decode("utf-8", "ignore")

    def _must(self, call: str) -> None:
        if call not in self.calls:
            raise InputError(f"{self.describe()}; use another server, or give `tokenizer` if it has a completions API")

    def _ask(self, payloads: list[dict[str, Any]], read: Any, shape: TypeAdapter[Any]) -> list[Any]:
        return self._endpoint.ask_all(self._path, payloads, read, shape, self._plain)

    def _greedy(self) -> dict[str, Any]:
        return drawing(self._options, 0.0, 1.0, 0)

    def _payload(self, prompt: Prompt) -> dict[str, Any]:
        if not self._chat:
            return {"model": self._model, "prompt": render(self._tokenizer, prompt)}
        turns = [{"role": turn.role, "content": inert(turn.content)} for turn in prompt.turns]
        if prompt.answer_start and self._offers.prefill:
            turns.append({"role": "assistant", "content": inert(prompt.answer_start)})
            return {"model": self._model, "messages": turns} | self._offers.prefill
        return {"model": self._model, "messages": turns}

    def _plain(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Return a request with a plain question in place of its own, otherwise unchanged."""
        if not self._chat:
            wanted = {"logprob_token_ids": self._hello[-1:]} if "logprob_token_ids" in payload else {}
            return payload | {"prompt": self._hello} | wanted
        words = {"system": HELLO, "user": HELLO, "assistant": "The word:"}
        return payload | {"messages": [turn | {"content": words[turn["role"]]} for turn in payload["messages"]]}

    def _read_text(self, body: Any, payload: dict[str, Any]) -> Text:
        most = payload[self._offers.length]
        found = read_text(body, most, self._chat)
        tokens = -(-len(found.text) // BYTES_PER_TOKEN) if found.tokens is None else found.tokens
        return {"text": found.text, "tokens": tokens, "finished": found.finished}

    def _completion(self, prompt: Prompt, found: Any) -> Completion:
        if isinstance(found, Refused):
            return Completion("", 0, False, found.reason)
        # Without prefill, or where a server begins its answer anew, the answer repeats the start.
        text = found["text"].removeprefix(inert(prompt.answer_start)) if self._chat else found["text"]
        text = text if self._tokenizer is None else rendering.read_text(self._tokenizer, text)
        return Completion(text, found["tokens"], found["finished"])

    def _choose_by_tokens(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[list[float]]:
        """Ask for the tokens of the choices by their ids, one request per prefix; or else measure each choice whole."""
        asked: list[tuple[list[int], list[int]]] = []
        for prompt in prompts:
            alone = render(self._tokenizer, prompt)
            whole = [
                render(self._tokenizer, replace(prompt, answer_start=prompt.answer_start + choice))
                for choice in choices
            ]
            same = common_prefix([alone, *whole])
            asked += [(alone[:same], ids[same:]) for ids in whole]
        measured = iter(self._by_next_tokens(asked) if self._offers.by_id else self._logprobs(asked))
        return [_row([next(measured) for _ in choices]) for _ in prompts]

    def _by_next_tokens(self, pairs: Sequence[tuple[list[int], list[int]]]) -> list[Measured]:
        """Return the same as `_logprobs`, with one request for the next token after each prefix: cheap for a few tokens,
        and a server with prefix caching reads common prefixes once."""
        wanted: dict[tuple[int, ...], list[int]] = {}
        for context, answer in pairs:
            for at, token in enumerate(answer):
                tokens = wanted.setdefault((*context, *answer[:at]), [])
                if token not in tokens:
                    tokens.append(token)
        payloads = [
            {"model": self._model, "prompt": list(beginning), "max_tokens": 1}
            | self._greedy()
            | self._offers.asking
            | {"logprob_token_ids": tokens}
            for beginning, tokens in wanted.items()
        ]
        found = dict(zip(wanted, self._ask(payloads, _read_next, NEXT), strict=True))

        def measured(context: list[int], answer: list[int]) -> Measured:
            steps = [(found[(*context, *answer[:at])], str(token)) for at, token in enumerate(answer)]
            refusals = [one for one, _ in steps if isinstance(one, Refused)]
            return refusals[0] if refusals else [one[token] for one, token in steps]

        return [measured(*pair) for pair in pairs]

    def _logprobs(self, pairs: Sequence[tuple[list[int], list[int]]]) -> list[Measured]:
        """Return the log-probabilities of the tokens of each answer after its context."""
        payloads = [
            {"model": self._model, "prompt": context + answer, "max_tokens": 1} | self._greedy() | self._offers.reading
            for context, answer in pairs
        ]
        found = self._ask(payloads, self._offers.read_prompt, ROW)
        return [
            values if isinstance(values, Refused) else values[len(context) : len(context) + len(answer)]
            for values, (context, answer) in zip(found, pairs, strict=True)
        ]


def _row(measured: Sequence[Measured]) -> list[float]:
    """Return the log-probability of each choice: minus infinity where a token has none."""
    for one in measured:
        if isinstance(one, Refused):
            return Unanswered(len(measured), one.reason)
    known = [[-math.inf if value is None else value for value in one] for one in measured if isinstance(one, list)]
    return [math.fsum(values) for values in known]


def _likelihood(measured: Measured, tokens: int) -> Likelihood:
    if isinstance(measured, Refused):
        return Likelihood(math.nan, tokens, measured.reason)
    known = [value for value in measured if value is not None]
    if len(known) < len(measured):
        lacking = len(measured) - len(known)
        return Likelihood(math.nan, tokens, f"the server gives no probability of {lacking} of the {tokens} tokens")
    return Likelihood(math.fsum(known), tokens)


def _only_model(endpoint: Endpoint) -> str:
    names = endpoint.models()
    if isinstance(names, Refused) or len(names) != 1:
        found = names.reason if isinstance(names, Refused) else f"it has {', '.join(names[:8]) or 'none'}"
        raise InputError(f"{endpoint.url}: which model? {found}; give its name with `model`")
    return names[0]


def _tokenizer(folder: str, chat_template: str) -> Any:
    from askback.engines.local.loading import load_tokenizer

    return load_tokenizer(Path(folder).expanduser(), chat_template)


def _seed(seed: int) -> int:
    """Return a seed of 31 bits, which any server accepts."""
    return int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=4).digest(), "big") >> 1


def _read_next(body: Any, payload: dict[str, Any]) -> dict[str, float | None]:
    likely = first_choice(body)["logprobs"]["top_logprobs"][0]
    return {str(token): checked_logprob(likely[f"token_id:{token}"]) for token in payload["logprob_token_ids"]}
