"""What is found in English is found in every script: one tokeniser, and all rules that count or compare words."""

import json
import unicodedata
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askback.augment.hygiene import fault
from askback.corpus.dedup import near_copies
from askback.corpus.filters.repetition import repeated_sentences
from askback.corpus.filters.word_lists import Words
from askback.curate.damage import KINDS, Pair
from askback.curate.teach import make_probes
from askback.engines.protocol import Completion
from askback.evaluate.rouge import rouge_l
from askback.execution.run import Run
from askback.inputs.contamination import EvaluationPrompts
from askback.recipe import Augment, Corpus, RecipeFile
from askback.records import Example, Provenance, Segment, exchange
from askback.seed.load import load_seed
from askback.text.endings import breaks_off
from askback.text.similarity import NearCopies
from askback.text.words import fold, in_a_row, join, normal, pieces, tokens, word_set, words
from askback.train.abstention import refusals
from tests.scripts import SCRIPTS, Text

every_script = pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
OPTIONS = Corpus.model_validate({"sources": [{"format": "text", "path": "x"}], "languages": []})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don’t stop; it's 3.5 km_h", "don t stop it s 3 5 km h"),
        ("Straße ＦＵＬＬ naïve", "strasse full naïve"),
        ("e\u0301te\u0301 I\u0307stanbul", "été i̇stanbul"),
        ("हिन्दी में लिखना।", "हिन्दी में लिखना"),
        ("שָׁלוֹם עוֹלָם", "שָׁלוֹם עוֹלָם"),
        ("می\u200cخواهم كتـــاب", "میخواهم كتاب"),
        ("我用 Python 写。", "我 用 python 写"),
        ("コーヒーをﾉﾑ", "コ ー ヒ ー を ノ ム"),
        ("ที่นี่", "ที่ นี่"),
        ("ប្រាំ", "ប្ រាំ"),
        ("한국어는 쉽다", "한국어는 쉽다"),
        ("ቡና፡ነው።", "ቡና ነው"),
        ("བོད་ཡིག", "བོད ཡིག"),
        ("soft\u00adhyphen zero\u200dwidth", "softhyphen zerowidth"),
        ("… — ★ 🙂 ___", ""),
    ],
)
def test_words(text: str, expected: str) -> None:
    assert words(text) == expected.split()


@every_script
def test_words_do_not_depend_on_how_they_are_written(text: Text) -> None:
    for form in ("NFD", "NFC", "NFKD"):
        assert words(unicodedata.normalize(form, text.answer)) == words(text.answer)
    assert words(text.answer.upper()) == words(text.answer.upper().lower())
    assert [one for one in tokens(text.answer) if any(map(str.isalnum, one))] == words(text.answer)


@every_script
def test_pieces_hold_the_whole_text(text: Text) -> None:
    assert "".join(pieces(text.answer)) == "".join(text.answer.split())
    assert "".join(join(pieces(text.answer)).split()) == "".join(text.answer.split())
    assert len(pieces(text.answer)) > 20


def test_pieces_keep_the_spaces_of_english() -> None:
    assert join(pieces("It  is,\nas said:  “so”.")) == "It is, as said: “so”."
    assert join(["我", "用", "Python", "写，", "好"]) == "我用 Python 写，好"


def test_a_number_of_words_in_a_row() -> None:
    assert in_a_row(words("plain English words"), 12) == in_a_row(words("обычные русские слова"), 12) == 12
    assert in_a_row(words("这是一个中文句子"), 12) == 18
    assert in_a_row(words("นี่คือประโยค"), 12) == 30
    assert 12 < in_a_row(words("用 Python 语言 write it"), 12) < 18
    assert in_a_row([], 12) == 12


@every_script
def test_near_duplicates(text: Text) -> None:
    parts = pieces(text.answer)
    fewer = join(parts[:-2])
    mixed = parts[:]
    Random(0).shuffle(mixed)
    assert near_copies([text.answer, fewer, join(mixed)], 0.7) == 1
    assert near_copies([text.answer, text.answer.replace(".", "!").replace("。", "！")], 0.7) == 1


@every_script
def test_near_copies_of_instructions(text: Text) -> None:
    index = NearCopies(0.7, Counter(word_set(text.question)))
    index.add("first", text.question)
    assert index.nearest(text.question + " !") == ("first", 1.0)
    assert index.nearest(join(pieces(text.question)[:-1])) is not None
    assert index.nearest(text.sentences[0]) is None


@every_script
def test_evaluation_prompts(text: Text) -> None:
    prompts = EvaluationPrompts([("eval:1", text.question)])
    inside = text.gap.join([*text.sentences[:3], text.question, *text.sentences[3:]])
    assert "words in a row" in (prompts.found_in(inside) or "")
    assert prompts.found_in(text.question.upper()) == "is the prompt eval:1, none wanted"
    assert prompts.found_in(text.answer) is None
    part = pieces(text.question)[: len(pieces(text.question)) // 3]
    assert prompts.found_in(f"{join(part)} {text.answer}") is None


@every_script
def test_an_instruction_that_quotes_its_segment(text: Text) -> None:
    segment = Segment("s", text.answer, [], Provenance("u", "html", language="xx"))
    wanted = Augment(skip_rules=["language", "too-long", "several-questions"])
    copied = text.gap.join(text.sentences[1:3])
    assert (fault(Completion(f"? {copied}", 1, True), segment, wanted) or ("",))[0] == "echo"
    assert fault(Completion(text.question, 1, True), segment, wanted) is None


@every_script
def test_an_instruction_that_says_a_sentence_twice(text: Text) -> None:
    segment = Segment("s", "x", [], Provenance("u", "html", language="xx"))
    twice = text.gap.join([text.sentences[0], text.sentences[1], text.sentences[0]])
    wanted = Augment(skip_rules=["language"])
    assert (fault(Completion(twice, 1, True), segment, wanted) or ("",))[0] == "several-questions"


@every_script
def test_rouge_of_a_text_with_itself(text: Text) -> None:
    assert rouge_l(text.answer, text.answer).f1 == 1.0
    assert 0.0 < rouge_l(text.answer, join(pieces(text.answer)[:20])).f1 < 1.0
    assert rouge_l(text.answer, "zzz qqq").f1 == 0.0


@every_script
@pytest.mark.parametrize("kind", KINDS)
def test_damage(kind: str, text: Text) -> None:
    pair = Pair(text.question, text.answer)
    other = Pair(text.sentences[0], text.gap.join(reversed(text.sentences)))
    for seed in range(5):
        found = KINDS[kind][0](pair, other, Random(seed), 0)
        assert found is not None and found != pair
        if kind in ("shuffled", "repeated"):
            assert set(map(str.strip, found.output)) == set(map(str.strip, pair.output))
        if kind == "truncated":
            assert pair.output.startswith(found.output)
            assert not found.output.endswith((*".!?。", *text.sentences))


@every_script
def test_scrambled_probes(text: Text, tmp_path: Path) -> None:
    rows = ({"instruction": text.question, "output": text.answer}, {"instruction": "Why?", "output": "So."})
    sources = []
    for row, split in zip(rows, ("held-out", "train"), strict=True):
        path = tmp_path / f"{split}.jsonl"
        path.write_text(json.dumps(row))
        sources.append({"path": str(path), "split": split})
    recipe = {"seed": {"sources": sources}, "corpus": {"sources": [{"format": "installed-docs"}]}}
    file = RecipeFile.model_validate({"name": "x", "recipe": recipe, "resources": {"runs": str(tmp_path / "runs")}})
    with Run(file) as run:
        seed = run.step("seed", load_seed, file.recipe.seed)
        probes = run.step("probes", make_probes, file.recipe.judge, seed=seed)
    (found,) = (probe for probe in probes if probe.kind == "scrambled")
    assert sorted("".join(found.output.split())) == sorted("".join(text.answer.split()))
    assert words(found.output) != words(text.answer) and words(found.instruction) != words(text.question)
    assert (" " in found.output) == (" " in join(pieces(text.answer)))


@every_script
def test_refusals(text: Text) -> None:
    example = Example("id", exchange(text.question, text.answer), Provenance("u", "s"), "seed", "train")
    found = refusals([example], 1.0, 0)
    assert len(found) == 1 and found[0].output and found[0].output not in text.answer.split(". ")
    assert len(words(found[0].output)) < len(words(text.answer))


@every_script
def test_word_lists(text: Text) -> None:
    hits, count = Words([text.word]).found_in(text.answer)
    assert [fold(hit) for hit in hits] == [fold(text.word)] and count == len(words(text.answer))
    assert Words([text.word]).found_in(text.question)[0] == []
    assert Words([text.word[:-1] + "x"]).found_in(text.answer)[0] == []


@every_script
def test_repeated_sentences(text: Text) -> None:
    again = text.gap.join([*text.sentences, text.sentences[1]])
    assert repeated_sentences(again, OPTIONS) is not None
    assert repeated_sentences(text.answer, OPTIONS) is None


@every_script
def test_a_whole_text_does_not_break_off(text: Text) -> None:
    assert breaks_off(text.answer) is None
    assert breaks_off(f"{text.sentences[0]} …") is not None


@given(st.text() | st.text(alphabet="aé -_’.1\u0301กิ์ำ我ーカ、한ह्ि\u200d\u3099\u0f0bም፡\u1039မ", max_size=30))
def test_no_text_is_lost_or_counted_twice(text: str) -> None:
    assert "".join(pieces(text)) == "".join(text.split())
    assert "".join(join(pieces(text)).split()) == "".join(text.split())
    assert words(text) == words(normal(text))
    assert words(text) == [one for one in tokens(text) if words(one) == [one]]
    assert in_a_row(words(text), 12) >= 12
