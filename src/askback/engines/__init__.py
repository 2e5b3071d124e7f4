"""Engines: one file each behind one small protocol (base.py)."""

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from askback.engines.protocol import Engine
from askback.lookup import lookup

if TYPE_CHECKING:
    from askback.recipe import EngineOptions

ENGINES = {
    "transformers": "askback.engines.local.transformers_local:TransformersLocal",
    "openai_http": "askback.engines.http.openai_http:OpenAIHttp",
    "vllm_server": "askback.engines.http.openai_http:OpenAIHttp",  # started by vllm_server.Serving
    "scripted": "askback.engines.scripted:Scripted",
}


@lru_cache(maxsize=1)
def open_engine(options: "EngineOptions", model: str, chat_template: str = "") -> Engine:
    """Load `model` (a folder) in the engine of `options.kind`, or connect; one process holds one model and loads it once.

    Raises:
        RecipeError: there is no such engine.
        InputError: the model folder is unusable.
        MissingExtra: what the engine needs is not installed.
    """
    engine: Engine = lookup(ENGINES, options.kind, "engine")(model, options, chat_template)
    return engine


class Offer(NamedTuple):
    """What the server of a role offers: in words, and which calls it answers."""

    role: str
    said: str
    calls: frozenset[str]
