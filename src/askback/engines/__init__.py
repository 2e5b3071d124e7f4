"""Engines: one file each behind one small protocol (base.py)."""

from functools import lru_cache

from askback.config import Engine as EngineOptions
from askback.engines.base import Engine
from askback.lookup import lookup

ENGINES = {
    "transformers": "askback.engines.transformers_local:TransformersLocal",
    "scripted": "askback.engines.scripted:Scripted",
}


@lru_cache(maxsize=1)
def open_engine(options: EngineOptions, model: str, chat_template: str = "") -> Engine:
    """Load `model` (a folder) in the engine of `options.kind`; one process holds one model and loads it once.

    Raises:
        RecipeError: there is no such engine.
        InputError: the model folder is unusable.
        MissingExtra: what the engine needs is not installed.
    """
    engine: Engine = lookup(ENGINES, options.kind, "engine")(model, options, chat_template)
    return engine
