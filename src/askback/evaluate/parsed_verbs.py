"""The verb and its object in an instruction by a parser, as in Self-Instruct (method.md 4.3; `askback[diversity]`)."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.metadata import version
from typing import Any

LONGEST = 400
"""Characters of an instruction that are parsed; only its first sentence matters."""
BATCH = 256
SIZES = ("md", "lg", "sm")
"""Sizes of spaCy's models: Self-Instruct's own first, then by accuracy; those with a transformer are too slow here."""


def parser() -> str:
    """Return name and version of the installed English spaCy model, "" if there is none."""
    try:
        import spacy
    except ImportError:
        return ""
    names = sorted(name for name in spacy.util.get_installed_models() if name.startswith("en_core_web_"))
    sizes = {name.split("_")[3]: name for name in names}
    found = next((sizes[size] for size in SIZES if size in sizes), "")
    return f"{found} {version(found)}" if found else ""


def parsed(name: str, instructions: Iterable[str]) -> Iterator[tuple[str, str] | None]:
    """Yield, per instruction, the lemmas of its verb and of the noun that is its object, None where there is no such pair.

    The rule is Self-Instruct's: the first sentence's root if it is a verb, with the first noun among its direct objects;
    else the same for the root's first child, and so on; questions give None. Departures: any of spaCy's models in place of
    en_core_web_md, and lemmas in lower case.

    Args:
        name: the result of `parser`.
    """
    texts = (text.strip()[:LONGEST] for text in instructions)
    for document in _pipeline(name.partition(" ")[0]).pipe(texts, batch_size=BATCH):
        yield _pair(next(document.sents).root) if len(document) else None


def _pair(word: Any) -> tuple[str, str] | None:
    if word.pos_ == "VERB":
        objects = (child for child in word.children if child.dep_ == "dobj" and child.pos_ == "NOUN")
        noun = next(objects, None)
        return None if noun is None else (word.lemma_.lower(), noun.lemma_.lower())
    first = next(iter(word.children), None)
    return None if first is None else _pair(first)


@lru_cache(maxsize=1)
def _pipeline(model: str) -> Any:
    import spacy

    return spacy.load(model, exclude=["ner", "senter"])
