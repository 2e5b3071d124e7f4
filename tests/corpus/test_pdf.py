"""PDF files: headers from outlines or type sizes, paragraphs across lines and pages, and each bad file one rejection."""

import io
from pathlib import Path

import pytest
from pypdf import PdfReader, PdfWriter

from askback.corpus.readers import documents
from askback.corpus.readers import pdf as reading
from askback.corpus.segment import segment
from askback.errors import MissingExtra
from askback.recipe import Corpus, CorpusSource
from askback.records import Document, Rejection
from tests.clock import ends_within
from tests.corpus.pdfs import pdf

BODY = "This line of body text is long enough to go on"


def read(folder: Path, data: bytes, **options: int) -> Document | Rejection:
    (folder / "name.pdf").write_bytes(data)
    source = CorpusSource(format="pdf", path=str(folder))
    (found,) = documents(source, [folder / "name.pdf"], Corpus.model_validate({"sources": [source], **options}))
    return found


def text_of(found: Document | Rejection) -> list[tuple[list[str], str]]:
    assert isinstance(found, Document), found
    return [(section.path, section.text()) for section in segment(found)]


def test_headers_by_the_size_of_the_type(tmp_path: Path) -> None:
    first = [("Guide", 20.0), ("Setting it up on", 15.0), ("a new machine", 15.0), (f"{BODY} and-", 10.0)]
    first += [(f"so on. {BODY}", 10.0), ("to the end.", 10.0), (f"Next. {BODY}", 10.0), ("• One thing", 10.0)]
    second = [("• Another (thing)", 10.0), ("Using it", 15.0), (BODY, 10.0)]
    found = read(tmp_path, pdf([first, second], Title="A title", CreationDate="D:20200102030405Z"))
    assert isinstance(found, Document)
    assert (found.title, found.date, found.markup, found.source) == ("A title", "2020-01-02", "html", "pdf")
    (top,) = segment(found)
    assert [child.path for child in top.children] == [
        ["Guide", "Setting it up on a new machine"],
        ["Guide", "Using it"],
    ]
    body = top.children[0].text()
    assert body == f"{BODY} andso on. {BODY} to the end.\n\nNext. {BODY}\n\n- One thing\n\n- Another (thing)"


def test_headers_by_the_outline_and_running_heads(tmp_path: Path) -> None:
    pages = [
        [("A Running Head", 9.0), (title, 10.0), (BODY, 10.0), (title + BODY, 10.0), (f"{number} head", 9.0)]
        for number, title in enumerate(["1 Start", "1.1 Below", "2. The end"])
    ]
    found = read(tmp_path, pdf(pages, [("Start", 0, -1), ("Below", 1, 0), ("The End", 2, -1)]))
    assert text_of(found) == [
        (["1 Start"], f"{BODY} 1 Start{BODY}\n\n## 1.1 Below\n\n{BODY} 1.1 Below{BODY}"),
        (["2. The end"], f"{BODY} 2. The end{BODY}"),
    ]


def test_without_headers_it_is_one_section_under_its_title(tmp_path: Path) -> None:
    assert text_of(read(tmp_path, pdf([BODY, BODY], Title="T")))[0][0] == ["T"]
    assert text_of(read(tmp_path, pdf([BODY])))[0][0] == ["name"]


def encrypted(data: bytes, password: str, algorithm: str = "RC4-128") -> bytes:
    writer = PdfWriter(PdfReader(io.BytesIO(data)))
    writer.encrypt(user_password=password, owner_password="owner", algorithm=algorithm)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_bad_files_are_one_rejection_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pdf([BODY])

    def rule(data: bytes, **options: int) -> tuple[str, str]:
        found = read(tmp_path, data, **options)
        assert isinstance(found, Rejection), found
        assert found.detail or found.rule == "no-text"
        return found.rule, found.outcome

    assert rule(encrypted(whole, "secret")) == ("encrypted", "rejected")
    assert isinstance(read(tmp_path, encrypted(whole, "")), Document)  # restricted, but open to read
    for algorithm in ("RC4-40", "AES-128", "AES-256-R5", "AES-256"):
        assert rule(encrypted(whole, "secret", algorithm)) == ("encrypted", "rejected")
        assert isinstance(read(tmp_path, encrypted(whole, "", algorithm)), Document)
    assert rule(b"%PDF-1.7\n" + b"\x00junk" * 100) == ("unreadable", "failed")
    assert rule(pdf([""])) == ("no-text", "rejected")
    assert rule(whole, max_document_bytes=100) == ("too-large", "rejected")
    bomb = pdf([[("x" * 100, 9.0)] * 20_000])
    assert len(bomb) < 500_000
    assert rule(bomb, max_document_bytes=1_000_000) == ("too-large", "rejected")
    monkeypatch.setattr(reading, "MAX_PAGES", 1)
    assert rule(pdf([BODY, BODY])) == ("too-large", "rejected")


def test_a_long_paragraph_takes_no_time() -> None:
    lines = [reading.Line("words of a line without an end", 10.0, {})] * 50_000
    assert len("".join(reading._html(lines))) > 1_400_000
    assert ends_within(8, lambda: "".join(reading._html(lines)))


def test_every_cut_of_a_file_is_survived(tmp_path: Path) -> None:
    whole = pdf([BODY, BODY], [("A", 0, -1)])
    for end in range(5, len(whole), 40):
        found = read(tmp_path, whole[:end])
        assert isinstance(found, Document) or found.rule in ("unreadable", "no-text")


def test_without_pypdf_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = pdf([BODY])
    monkeypatch.setitem(__import__("sys").modules, "pypdf", None)
    with pytest.raises(MissingExtra, match=r"askback\[pdf\]"):
        read(tmp_path, data)
