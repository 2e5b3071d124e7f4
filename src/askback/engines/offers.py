"""What a server offers beyond plain answers, found by asking: log-probabilities, prefill, names of options.

Nothing is taken on trust from a server's name or version. A parameter it refuses (400), or silently leaves out of its
answer, is one it lacks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from askback.engines.base import CALLS
from askback.engines.endpoint import ContentRefused, Endpoint, Refused
from askback.errors import InputError

CHAT, COMPLETIONS = "/chat/completions", "/completions"
LOOKS = 3
"""A server that leaves out what was asked for is asked so often, as a fault may pass for a lack."""
PREFILL = {"continue_final_message": True, "add_generation_prompt": False}
"""vLLM's and SGLang's way to have an answer go on from its beginning."""
_TOP = (20, 5)
"""The most likely tokens to ask for; many servers allow 20, some 5."""


@dataclass(frozen=True)
class Offers:
    """How to ask a server. `asking` has log-probabilities come with an answer, `reading` those of the prompt itself;
    `by_id` tells that tokens are named by their ids, and may be asked for by them."""

    calls: frozenset[str] = frozenset({"generate"})
    lacking: str = ""
    length: str = "max_tokens"
    prefill: dict[str, Any] = field(default_factory=dict)
    asking: dict[str, Any] = field(default_factory=dict)
    by_id: bool = False
    reading: dict[str, Any] = field(default_factory=dict)

    def read_prompt(self, body: Any, payload: dict[str, Any]) -> list[float]:
        """Return the log-probability of each token of the prompt; the first has none, and is given as 0."""
        choice, prompt = body["choices"][0], payload["prompt"]
        if "echo" in self.reading:
            values = [value or 0.0 for value in choice["logprobs"]["token_logprobs"]][: len(prompt)]
        else:
            found = zip(prompt, choice["prompt_logprobs"], strict=True)
            values = [float(likely[str(token)]["logprob"]) if likely else 0.0 for token, likely in found]
        if len(values) != len(prompt):
            raise ValueError(f"{len(values)} log-probabilities for {len(prompt)} tokens")
        return values


def find_out(endpoint: Endpoint, model: str, hello: Sequence[int]) -> Offers:
    """Return what a server offers: by tokens if `hello`, a short prompt, has any; else over chat."""
    return _by_tokens(endpoint, model, list(hello)) if hello else _by_chat(endpoint, model)


def _by_tokens(endpoint: Endpoint, model: str, hello: list[int]) -> Offers:
    plain = {"model": model, "prompt": hello, "max_tokens": 1, "temperature": 0}
    wanted = hello[-3:]

    def by_id(body: Any) -> bool:
        likely = body["choices"][0]["logprobs"]["top_logprobs"][0]
        return all(f"token_id:{token}" in likely for token in wanted)

    asking: dict[str, Any] = {"logprobs": 5, "return_tokens_as_token_ids": True}
    named = _finds(endpoint, COMPLETIONS, plain | asking | {"logprob_token_ids": wanted}, by_id)
    for reading in ({"prompt_logprobs": 0}, {"echo": True, "logprobs": 1}):
        offers = Offers(asking=asking if named else {}, by_id=named, reading=reading)

        def reads(body: Any, offers: Offers = offers) -> bool:
            return bool(offers.read_prompt(body, plain))

        if _finds(endpoint, COMPLETIONS, plain | reading, reads):
            return Offers(CALLS, "", asking=offers.asking, by_id=named, reading=reading)
    if named:
        return Offers(CALLS - {"loglikelihood"}, "neither prompt_logprobs nor echo", asking=asking, by_id=True)
    return Offers(lacking="no log-probabilities, neither of chosen tokens nor of the prompt")


def _by_chat(endpoint: Endpoint, model: str) -> Offers:
    question = {"role": "user", "content": "Reply with one word: yes."}
    base = {"model": model, "messages": [question], "temperature": 0}
    length = "max_tokens"
    said = endpoint.ask(CHAT, base | {length: 1}, lambda body, _: bool(body["choices"][0]))
    if isinstance(said, Refused):
        if "max_completion_tokens" not in said.reason:
            raise InputError(f"{endpoint.url}: does not answer a plain question: {said.reason}")
        length = "max_completion_tokens"
    opened = base | {"messages": [question, {"role": "assistant", "content": "The word:"}], length: 4}
    prefill = PREFILL if _finds(endpoint, CHAT, opened | PREFILL, lambda body: bool(body["choices"][0])) else {}

    def has_logprobs(body: Any) -> bool:
        return bool(body["choices"][0]["logprobs"]["content"][0]["top_logprobs"])

    for top in _TOP:
        asking = {"logprobs": True, "top_logprobs": top}
        if _finds(endpoint, CHAT, base | asking | {length: 1}, has_logprobs):
            lacking = "a chat API has no likelihoods of given answers"
            return Offers(CALLS - {"loglikelihood"}, lacking, length, prefill, asking)
    return Offers(lacking="no log-probabilities", length=length, prefill=prefill)


def _finds(endpoint: Endpoint, path: str, payload: dict[str, Any], there: Any) -> bool:
    """Tell whether an answer to `payload` holds what `there` looks for."""

    def look(body: Any, _: dict[str, Any]) -> bool:
        choice = body["choices"][0]  # without one it is a fault, to be tried again
        try:
            return bool(there({"choices": [choice]}))
        except (KeyError, IndexError, TypeError, ValueError, ContentRefused):
            return False

    for _ in range(LOOKS):
        found = endpoint.ask(path, payload, look)
        if isinstance(found, Refused):
            return False
        if found:
            return True
    return False
