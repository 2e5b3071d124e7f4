"""Languages."""

import pytest

from askback.corpus.filters.language import other_language
from askback.recipe import Corpus
from askback.text.language import language, plainly_english

ENGLISH = "Put the flour in a bowl and stir it with the sugar until there are no lumps in it. " * 5
OTHERS = {
    "de": "In der Mitte des Raumes war ein Tisch, an dem wir oft saßen und bis in den Abend hinein redeten. " * 4,
    "nl": "Het was een mooie dag en we liepen door het bos, want het is daar in de zomer altijd erg stil. " * 4,
    "fr": "Mettez la farine dans un bol et mélangez-la avec le sucre, on obtient une pâte lisse et claire. " * 4,
    "es": "El tren sale a las nueve de la mañana y llega a la ciudad a las doce, si no hay problemas hoy. " * 4,
    "da": "Der er for mange biler i byen, og vi kan ikke komme over vejen, før lyset bliver grønt igen. " * 4,
}


@pytest.mark.parametrize(("code", "text"), [("en", ENGLISH), ("en", "A short English text."), *OTHERS.items()])
def test_languages(code: str, text: str) -> None:
    assert language(text) == code


def test_the_language_of_code_is_not_asked() -> None:
    code = "```\n" + "der die das und nicht für ist von mit\n" * 30 + "```\n"
    assert language(code + ENGLISH) == "en"


def test_only_wanted_languages_stay(options: Corpus) -> None:
    assert other_language("en", options) is None
    assert other_language("de", options) == "language 'de', wanted en"


def test_two_words_that_are_english_alone_tell_plain_english() -> None:
    assert plainly_english("Explain the differences between dogs and wolves")
    assert not plainly_english("Warum heißt das Album The Wall so, und wovon handelt es?")
    assert not plainly_english("Explain the difference")
