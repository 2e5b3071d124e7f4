"""Text in other languages than English is not taken for something it is not; sentences are real ones."""

import pytest

from askback.corpus.cut import cut
from askback.corpus.filters import header_rule, text_rule
from askback.corpus.filters.prose import no_prose, unfinished
from askback.corpus.filters.repetition import repeated_sentences, sentences
from askback.recipe import Corpus
from askback.records import Document

CHINESE = """人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。

人人有资格享有本宣言所载的一切权利和自由，不分种族、肤色、性别、语言、宗教、政治或其他见解、国籍或社会出身、财产、出生或其他身份等任何区别。

人人有权享有生命、自由和人身安全。任何人不得使为奴隶或奴役；一切形式的奴隶制度和奴隶买卖，均应予以禁止。"""

JAPANESE = """すべての人間は、生れながらにして自由であり、かつ、尊厳と権利とについて平等である。人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。

何人も、奴隷にされ、又は苦役に服することはない。奴隷制度及び奴隷売買は、いかなる形においても禁止する。

すべての人は、いかなる場所においても、法の下において、人として認められる権利を有する。"""  # noqa: E501

ARABIC = """يولد جميع الناس أحراراً متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميراً وعليهم أن يعامل بعضهم بعضاً بروح الإخاء.

لكل إنسان حق التمتع بكافة الحقوق والحريات الواردة في هذا الإعلان، دون أي تمييز، كالتمييز بسبب العنصر أو اللون أو الجنس.

لكل فرد الحق في الحياة والحرية وسلامة شخصه. لا يجوز استرقاق أو استعباد أي شخص، ويحظر الاسترقاق وتجارة الرقيق."""

GERMAN = """Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und
sollen einander im Geiste der Brüderlichkeit begegnen.

Jeder hat Anspruch auf alle in dieser Erklärung verkündeten Rechte und Freiheiten, ohne irgendeinen Unterschied, etwa nach
Rasse, Hautfarbe, Geschlecht, Sprache, Religion, politischer oder sonstiger Anschauung.

Er sagte: „Jeder hat das Recht auf Leben, Freiheit und Sicherheit der Person.“"""

HINDI = """सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। उन्हें बुद्धि और अन्तरात्मा की देन प्राप्त है।

प्रत्येक व्यक्ति को जीवन, स्वाधीनता और वैयक्तिक सुरक्षा का अधिकार है। कोई भी ग़ुलामी या दासता की हालत में न रखा जाएगा।"""

TEXTS = {"zh": CHINESE, "ja": JAPANESE, "ar": ARABIC, "de": GERMAN, "hi": HINDI}
HEADERS = {
    "zh": "HTTP 协议",
    "ja": "USBメモリの使い方",
    "ar": "واجهة API",
    "de": "Menschenrechte",
    "hi": "API का उपयोग",
}


@pytest.mark.parametrize("code", sorted(TEXTS))
@pytest.mark.parametrize("preset", ["paper", "strict"])
def test_no_rule_mistakes_a_language(code: str, preset: str, options: Corpus) -> None:
    chosen = {"sources": options.sources, "preset": preset, "min_chars": 50, "languages": ["en", *sorted(TEXTS)]}
    document = Document(
        "http://x/", f"# {HEADERS[code]}\n\n{TEXTS[code]}", "markdown", "markdown", "Title", "", "2020-01-02"
    )
    outcome = cut([document], Corpus.model_validate(chosen))
    assert [one.provenance.language for one in outcome.kept] == [code], outcome.dropped
    assert (outcome.kept[0].provenance.title, outcome.kept[0].provenance.date) == ("Title", "2020-01-02")


@pytest.mark.parametrize("code", sorted(TEXTS))
def test_each_sentence_is_finished_prose(code: str, options: Corpus) -> None:
    strict = options.model_copy(update={"finished": True, "min_prose": 0.9})
    for paragraph in TEXTS[code].split("\n\n"):
        line = paragraph.replace("\n", " ")
        assert no_prose(line, strict) is None
        assert unfinished(line, strict) is None
    for broken in (
        "人人有权享有生命、自由和人身安全，并且",
        "すべての人は、いかなる場所においても、法の下に、",
        "لكل فرد الحق في الحياة والحرية وسلامة،",
    ):
        assert unfinished(broken + "一二三四五六七八九十" * (broken[-1] == "且"), strict)


def test_headers_in_capitals() -> None:
    assert all(header_rule(header) is None for header in HEADERS.values())
    assert header_rule("API") and header_rule("ÜBER UNS") and header_rule("О КОМПАНИИ")


def test_repetitions_without_spaces_are_found_and_short_sentences_may_recur(options: Corpus) -> None:
    twice = "一切形式的奴隶制度和奴隶买卖，均应予以禁止。"
    assert repeated_sentences(f"{CHINESE}\n\n{twice}人人有权享有生命。{twice}", options)
    assert text_rule("点击确定按钮。打开菜单。" * 60, lambda: 0, options) is None
    assert sentences("A。「B！」C؟ D") == ["A", "「B", "C", "D"]
    for text in TEXTS.values():
        assert repeated_sentences(text, options) is None
