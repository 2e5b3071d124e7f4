"""Personal data that presidio's recognisers find, beside the patterns of pii.py (extra `askback[presidio]`).

What needs no model works in any language: numbers of identity cards, accounts and licences, with their check digits and
the words around them. Names of people and places are found where a spaCy model of the language is installed.
"""

import logging
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from askback.errors import MissingExtra

LEAST = 0.5
"""What presidio is less sure of is left: a bare row of digits is at 0.01 to 0.4 a licence, an account or a telephone, and
rises above this by a word beside it that says so."""
LEFT = {"EMAIL_ADDRESS", "IP_ADDRESS", "CREDIT_CARD", "IBAN_CODE"} | {
    *("URL", "UUID", "DATE_TIME", "AGE", "NRP", "ORGANIZATION", "EMAIL", "ID")
}
"""Kinds that are not asked for: of the first four the patterns know which name nobody (documentation's addresses), and the
others are no personal data by themselves, or (the last two) labels of models that nobody has here."""
NAMES = {"PHONE_NUMBER": "PHONE"}
"""As the patterns call it."""
SIZES = ("sm", "md", "lg", "trf")

_PLACEHOLDER = re.compile(r"<[A-Z_]+>")


def installed(languages: Sequence[str]) -> str:
    """Return what looks at texts of these languages (of all, if none is given): versions, and the spaCy models there are.

    Raises:
        MissingExtra: presidio is not installed.
    """
    util = _spacy().util
    names = [name for code in languages if (name := _model(code))] if languages else util.get_installed_models()
    models = [f"{name} {version(name)}" for name in sorted(names)]
    return ", ".join([*(f"{name} {version(name)}" for name in ("presidio-analyzer", "spacy")), *models])


def replace(text: str, language: str) -> tuple[str, Counter[str]]:
    """Return the text with ``<PERSON>`` and the like in place of what was found, and how many of each there were.

    Of findings that overlap the surest one counts, then the longest; what a pattern has replaced stays as it is.

    Args:
        language: two-letter code of the text's language.
    """
    engine, kinds = _engine(language)
    taken = [match.span() for match in _PLACEHOLDER.finditer(text)]
    chosen: list[tuple[int, int, str]] = []
    results = engine.analyze(text=text, language=language, entities=kinds, score_threshold=LEAST) if kinds else []
    for found in sorted(results, key=lambda one: (-one.score, one.start - one.end, one.start, one.entity_type)):
        if all(found.end <= start or end <= found.start for start, end in taken):
            taken.append((found.start, found.end))
            chosen.append((found.start, found.end, NAMES.get(found.entity_type, found.entity_type)))
    for start, end, kind in sorted(chosen, reverse=True):
        text = f"{text[:start]}<{kind}>{text[end:]}"
    return text, Counter(kind for _, _, kind in chosen)


def _spacy() -> Any:
    try:
        import presidio_analyzer  # noqa: F401
        import spacy
    except ImportError as error:
        raise MissingExtra("presidio-analyzer", "presidio", "pii_engine: presidio") from error
    return spacy


def _model(language: str) -> str | None:
    """Return the largest spaCy model of a language that is installed; presidio would fetch one that is not."""
    sizes = {
        name.rpartition("_")[2]: name for name in _spacy().util.get_installed_models() if name[:3] == f"{language}_"
    }
    return max(sizes.items(), key=lambda item: SIZES.index(item[0]) if item[0] in SIZES else -1)[1] if sizes else None


@lru_cache(maxsize=8)
def _engine(language: str) -> tuple[Any, list[str]]:
    """Return the analyser of a language, and the kinds it is asked for."""
    spacy = _spacy()
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)  # it warns of each recogniser of another language
    name = _model(language)
    reader = SpacyNlpEngine(models=[{"lang_code": language, "model_name": name or "blank"}])
    reader.nlp = {language: spacy.load(name) if name else _blank(spacy, language)}
    reader.nlp[language].max_length = 10**9
    registry = RecognizerRegistry(supported_languages=[language])
    engine = AnalyzerEngine(registry=registry, nlp_engine=reader, supported_languages=[language])
    return engine, sorted(set(engine.get_supported_entities(language)) - LEFT)


def _blank(spacy: Any, language: str) -> Any:
    """Return a pipeline that splits a text into words; a word is its own lemma, for presidio to find what is beside it."""
    try:
        pipeline = spacy.blank(language)
    except ImportError:  # spaCy does not know the language, or needs a package to split it
        pipeline = spacy.blank("xx")

    def lemmas(words: Any) -> Any:
        for word in words:
            word.lemma_ = word.lower_
        return words

    spacy.Language.component("askback_lemmas", func=lemmas)
    pipeline.add_pipe("askback_lemmas")
    return pipeline
