"""A server's capabilities, found by test requests: log-probabilities, prefill, names of parameters.

A server's name or version is not trusted. A capability that it refuses, or silently leaves out of its answer, is missing.
The first request has every parameter that a run sends; a server that refuses it, or answers with nothing, is an error
with the server's own message.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from askback.engines.http.blame import Refused, hint
from askback.engines.http.endpoint import Endpoint
from askback.engines.http.reading import ODD, ContentRefused, finish_reason, first_choice, read_text
from askback.engines.http.tokens import checked_logprob, read_tokens
from askback.engines.protocol import CALLS
from askback.errors import InputError
from askback.recipe import EngineOptions

CHAT, COMPLETIONS = "/chat/completions", "/completions"
SERVED = CALLS - {"represent"}
"""Calls that a server with OpenAI's protocol can answer; it does not return hidden states."""
LOOKS = 3
"""Number of requests before a value that a server leaves out counts as missing, as the cause may be a fault."""
PREFILL = {"continue_final_message": True, "add_generation_prompt": False}
"""Parameters with which vLLM and SGLang continue a given beginning of an answer."""
HELLO = "Reply with one word: yes."
HELLO_TOKENS = 64
"""Tokens that the answer of one word may take, with some decoration."""
_TOP = (20, 5)
"""Numbers of most likely tokens to ask for; many servers allow 20, some 5."""


@dataclass(frozen=True)
class Offers:
    """A server's capabilities, and the parameters that use them: `asking` requests log-probabilities of an answer,
    `reading` those of the prompt. `by_id`: tokens can be requested, and are named, by their ids."""

    calls: frozenset[str] = frozenset({"generate"})
    lacking: str = ""
    length: str = "max_tokens"
    prefill: dict[str, Any] = field(default_factory=dict)
    asking: dict[str, Any] = field(default_factory=dict)
    by_id: bool = False
    reading: dict[str, Any] = field(default_factory=dict)

    def read_prompt(self, body: Any, payload: dict[str, Any]) -> list[float | None]:
        """Return the log-probability of each token of the prompt, None where the server gives none, as for the first."""
        choice, prompt = first_choice(body), payload["prompt"]
        if "echo" in self.reading:
            given = choice["logprobs"]["token_logprobs"][: len(prompt)]
        else:
            found = zip(prompt, choice["prompt_logprobs"], strict=True)
            given = [likely[str(token)]["logprob"] if likely else None for token, likely in found]
        values = [checked_logprob(one) for one in given]
        if len(values) != len(prompt):
            raise ValueError(f"{len(values)} log-probabilities for {len(prompt)} tokens")
        if all(value is None for value in values[1:]):
            raise ValueError("no log-probabilities of the prompt")
        return values


def drawing(options: EngineOptions, temperature: float, top_p: float, seed: int) -> dict[str, Any]:
    """Return the sampling parameters of a request, without those in `leave_out`."""
    given: dict[str, Any] = {"temperature": temperature}
    if temperature > 0:
        given |= {"top_p": top_p, "seed": seed}
    return {name: value for name, value in given.items() if name not in options.leave_out}


def find_out(endpoint: Endpoint, options: EngineOptions, model: str, hello: Sequence[int]) -> Offers:
    """Return a server's capabilities: of its completions API if `hello`, a short prompt, has tokens; else of its chat API.

    Raises:
        InputError: it refuses the parameters of a run, or answers with nothing.
    """
    return _by_tokens(endpoint, options, model, list(hello)) if hello else _by_chat(endpoint, options, model)


def _answered(endpoint: Endpoint, path: str, payload: dict[str, Any]) -> Refused | None:
    """Ask a plain question; return the refusal, None if there is an answer. A reasoning cut by the length is an answer."""

    def read(body: Any, _: dict[str, Any]) -> bool:
        try:
            read_text(body, HELLO_TOKENS, path == CHAT)
        except ContentRefused:
            if "length" not in finish_reason(first_choice(body)):
                raise
        return True

    found = endpoint.ask(path, payload, read)
    return found if isinstance(found, Refused) else None


def _no(endpoint: Endpoint, found: Refused) -> InputError:
    return InputError(f"{endpoint.url}: does not answer a plain question: {found.reason}.{hint(found.reason)}")


def _by_tokens(endpoint: Endpoint, options: EngineOptions, model: str, hello: list[int]) -> Offers:
    draw = drawing(options, 0.7, 0.9, 0)
    if found := _answered(endpoint, COMPLETIONS, {"model": model, "prompt": hello, "max_tokens": HELLO_TOKENS} | draw):
        raise _no(endpoint, found)
    if "logprobs" in options.leave_out:
        return Offers(lacking="logprobs is left out")
    plain = {"model": model, "prompt": hello, "max_tokens": 1} | drawing(options, 0.0, 1.0, 0)
    wanted = hello[-3:]

    def by_id(body: Any) -> bool:
        likely = first_choice(body)["logprobs"]["top_logprobs"][0]
        return all(f"token_id:{token}" in likely for token in wanted)

    asking: dict[str, Any] = {"logprobs": 5, "return_tokens_as_token_ids": True}
    named = _finds(endpoint, COMPLETIONS, plain | asking | {"logprob_token_ids": wanted}, by_id)
    for reading in ({"prompt_logprobs": 0}, {"echo": True, "logprobs": 1}):
        offers = Offers(asking=asking if named else {}, by_id=named, reading=reading)

        def reads(body: Any, offers: Offers = offers) -> bool:
            return bool(offers.read_prompt(body, plain))

        if _finds(endpoint, COMPLETIONS, plain | reading, reads):
            return Offers(SERVED, "", asking=offers.asking, by_id=named, reading=reading)
    if named:
        return Offers(SERVED - {"loglikelihood"}, "neither prompt_logprobs nor echo", asking=asking, by_id=True)
    return Offers(lacking="no log-probabilities, neither of chosen tokens nor of the prompt")


def _by_chat(endpoint: Endpoint, options: EngineOptions, model: str) -> Offers:
    question = {"role": "user", "content": HELLO}
    base = {"model": model, "messages": [question]}
    length = "max_tokens"
    found = _answered(endpoint, CHAT, base | drawing(options, 0.7, 0.9, 0) | {length: HELLO_TOKENS})
    if found and "max_completion_tokens" in found.reason:
        length = "max_completion_tokens"
        found = _answered(endpoint, CHAT, base | drawing(options, 0.7, 0.9, 0) | {length: HELLO_TOKENS})
    if found:
        raise _no(endpoint, found)
    plain = base | drawing(options, 0.0, 1.0, 0)
    opened = plain | {"messages": [question, {"role": "assistant", "content": "The word:"}], length: 4}
    prefill = PREFILL if _finds(endpoint, CHAT, opened | PREFILL, lambda body: bool(first_choice(body))) else {}
    if "logprobs" in options.leave_out:
        return Offers(lacking="logprobs is left out", length=length, prefill=prefill)

    def has_logprobs(body: Any) -> bool:
        return any(own is not None or likely for _, own, likely in read_tokens(body))

    for top in _TOP:
        asking = {"logprobs": True, "top_logprobs": top}
        if _finds(endpoint, CHAT, plain | asking | {length: 8}, has_logprobs):
            lacking = "a chat API has no likelihoods of given answers"
            return Offers(SERVED - {"loglikelihood"}, lacking, length, prefill, asking)
    return Offers(lacking="no log-probabilities", length=length, prefill=prefill)


def _finds(endpoint: Endpoint, path: str, payload: dict[str, Any], there: Any) -> bool:
    """Return whether an answer to `payload` passes the test `there`."""

    def look(body: Any, _: dict[str, Any]) -> bool:
        choice = first_choice(body)  # a missing one is a fault, which is retried
        try:
            return bool(there({"choices": [choice]}))
        except (*ODD, ContentRefused):
            return False

    for _ in range(LOOKS):
        found = endpoint.ask(path, payload, look)
        if isinstance(found, Refused):
            return False
        if found:
            return True
    return False
