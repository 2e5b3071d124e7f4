"""Words and phrases of a recipe's own lists."""

from pathlib import Path

import pytest

from askback.corpus import cut
from askback.corpus.build import sources
from askback.corpus.explain import explain
from askback.corpus.filters.word_lists import Words, word_list, words_of
from askback.errors import InputError
from askback.plan import Plan
from askback.recipe import Corpus, RecipeFile
from askback.records import Document
from tests.clock import ends_within

SOURCE = {"sources": [{"format": "html", "path": "x"}]}


def options(folder: Path, text: str, **given: object) -> Corpus:
    (folder / "words.txt").write_text(text, "utf-8")
    wanted = {"path": str(folder / "words.txt"), **given}
    return Corpus.model_validate({**SOURCE, "min_chars": 1, "min_prose": 0, "languages": [], "word_lists": [wanted]})


@pytest.mark.parametrize(
    ("entry", "text", "hits"),
    [
        ("darn", "Darn! DARN (darn) *darn* darn.", 5),
        ("darn", "darning undarn darn2", 0),
        ("darn", "_darn_ so_darn_bad", 2),
        ("go to hell", "Go  to\nHELL, go to. Hell", 1),
        ("go", "go to hell", 1),
        ("f**k", "f**k f(k) f k", 1),
        ("don't", "DON’T dont don t", 1),
        ("🖕", "so🖕🖕", 2),
        ("STRASSE", "Straße strasse", 2),
        ("ｄａｒｎ", "darn", 1),
        ("cafe\u0301", "café cafe", 1),
        ("混蛋", "你这个混蛋，混 蛋。", 2),
        ("バカ", "あのバカな", 1),
        ("เหี้ย", "ไอ้เหี้ยนี่", 1),
        ("गधा", "वह गधा है गधे गध", 1),
        ("씨발", "씨발 씨발놈", 1),
    ],
)
def test_found(entry: str, text: str, hits: int) -> None:
    assert len(Words([entry]).found_in(text)[0]) == hits


def test_the_longest_entry_counts_and_words_are_counted() -> None:
    hits, words = Words(["a b c", "a b", "c d", "a"]).found_in("a b c d, a b x a! 中文")
    assert hits == ["a b c", "a b", "a"] and words == 10


def test_the_limit(tmp_path: Path) -> None:
    text = "darn heck " + "good " * 8
    assert word_list(text, options(tmp_path, "# mild\n\ndarn\n  heck \n", max_share=0.2)) is None
    over = options(tmp_path, "# mild\n\ndarn\n  heck \n", max_share=0.19)
    said = "list 'words.txt': 2 hit(s) in 10 words ('darn', 'heck'), 20.00%, at most 19.00% wanted"
    assert word_list(text, over) == said


def test_off_by_default_and_dropped_with_its_rule(tmp_path: Path) -> None:
    page = Document("u", "<h1>Darn</h1><p>A good text.</p><h1>B</h1><p>A better text.</p>", "html", "html")
    given = options(tmp_path, "darn\nmild\n")
    assert len(cut([page], given.model_copy(update={"word_lists": []})).kept) == 2
    outcome = cut([page], given)
    assert [(drop.rule, drop.text) for drop in outcome.dropped] == [("word-list", "A good text.")]
    (tmp_path / "a.html").write_text(page.text)
    assert [row.rule for row in explain(tmp_path / "a.html", given).rows] == ["word-list", ""]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "this word list cannot be read: No such file"),
        (b"# nothing\n\n", "this word list is empty; it takes a word or phrase a line"),
        (b"ok\n\xff\xfe", "this word list is not UTF-8 (byte 3); save it as UTF-8"),
    ],
)
def test_a_list_that_cannot_be_used_is_told_when_planning(data: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    if data is not None:
        path.write_bytes(data)
    corpus = {"sources": [{"format": "installed-docs"}], "word_lists": [{"path": str(path)}]}
    recipe = {"seed": {"sources": [{"path": "builtin:demo"}]}, "corpus": corpus}
    file = RecipeFile.model_validate({"name": "x", "recipe": recipe, "resources": {"runs": str(tmp_path)}})
    with pytest.raises(InputError) as told:
        Plan(file, forecast=False)
    assert str(told.value).startswith(f"{path}: {said}") and "\n" not in str(told.value)


def test_lists_are_part_of_the_corpus(tmp_path: Path) -> None:
    given = options(tmp_path, "darn").model_copy(update={"sources": []})
    (name,) = sources(given)
    assert name == f"word-list:{tmp_path / 'words.txt'}"


def test_time_grows_with_the_text_alone() -> None:
    words = Words([" ".join(["a"] * size) for size in range(2, 40)] + [f"w{number}" for number in range(100_000)])
    assert len(words.found_in("a " * 100_000)[0]) == 2565
    assert ends_within(5, lambda: words.found_in("a " * 100_000))


def test_a_line_of_invisible_characters_is_empty(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("damn\n\u200e\n\ufeff\nhell\n")
    assert words_of(str(tmp_path / "words.txt")).found_in("What the hell!") == (["hell"], 3)
    (tmp_path / "none.txt").write_text("\u200e\n")
    with pytest.raises(InputError, match="is empty"):
        words_of(str(tmp_path / "none.txt"))
