"""Packed bytes and encodings: what was not unpacked, or only in part, fails; nothing is cut without a word."""

import bz2
import gzip
import io
import lzma
import random
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastwarc.stream_io import BrotliWriter, Lz4Writer, ZstdWriter

from askback.corpus.filters.word_lists import words_of
from askback.corpus.readers import documents, pieces
from askback.corpus.readers.encoding import Undecodable, decode
from askback.inputs.contamination import evaluation_prompts
from askback.inputs.packed import Damaged, open_bytes, unpack, unpacked_name
from askback.inputs.rows import read_rows
from askback.recipe import Corpus, CorpusSource
from askback.records import Document, Rejection
from tests.corpus.pdfs import pdf

PAGE = (
    "<html><head><title>Kites</title></head><body><h1>Kites</h1><p>" + "A kite needs wind. " * 40 + "</p></body></html>"
)
BODY = PAGE.encode()


def written(writer: Callable[[str], io.IOBase], data: bytes, folder: Path) -> bytes:
    path = folder / "written"
    with writer(str(path)) as file:
        file.write(data)
    return path.read_bytes()


def packed_by(name: str, data: bytes, folder: Path) -> bytes:
    if name == "zip":
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("page.html", data)
        return made.getvalue()
    if name in ("zst", "lz4", "br"):
        return written({"zst": ZstdWriter, "lz4": Lz4Writer, "br": BrotliWriter}[name], data, folder)
    simple: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    return simple[name](data)


def read(kind: str, path: Path, **more: object) -> list[Document | Rejection]:
    source = CorpusSource.model_validate({"format": kind, "path": str(path), **more})
    chosen = Corpus(sources=[source])
    return [found for paths, span in pieces(source) for found in documents(source, paths, chosen, 0, span)]


def outcomes(found: list[Document | Rejection]) -> list[str]:
    return [one.rule if isinstance(one, Rejection) else one.text for one in found]


# Files

PACKINGS = ["gz", "zst", "bz2", "xz", "lz4"]


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("name", ["a.html.{}", "A.HTML.{}", "plain.Html"])
def test_a_packed_page_is_unpacked_whatever_it_is_called(packing: str, name: str, tmp_path: Path) -> None:
    data = packed_by(packing, BODY, tmp_path)
    for called in {name.format(packing), name.format(packing.upper()), name.format(packing.title())}:
        (tmp_path / called).write_bytes(data)
    found = read("html", tmp_path)
    assert outcomes(found) and set(outcomes(found)) == {PAGE}


def test_a_zip_of_one_page_is_read_and_one_of_many_fails(tmp_path: Path) -> None:
    (tmp_path / "one.html").write_bytes(packed_by("zip", BODY, tmp_path))
    with zipfile.ZipFile(tmp_path / "two.html", "w") as archive:
        archive.writestr("a.html", BODY)
        archive.writestr("b.html", BODY)
    one, two = read("html", tmp_path)
    assert isinstance(one, Document) and one.text == PAGE
    assert isinstance(two, Rejection) and (two.rule, two.outcome) == ("undecodable", "failed")
    assert "2 files" in two.detail


@pytest.mark.parametrize("packing", [*PACKINGS, "zip"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_what_breaks_off_fails(packing: str, kept: float, tmp_path: Path) -> None:
    data = packed_by(packing, "".join(f"{number * 7919 % 10007} " for number in range(5000)).encode(), tmp_path)
    (tmp_path / "a.txt").write_bytes(data[: int(len(data) * kept)])
    (found,) = read("text", tmp_path)
    assert isinstance(found, Rejection) and (found.rule, found.outcome) == ("undecodable", "failed")


def test_all_members_are_read_and_junk_behind_them_fails(tmp_path: Path) -> None:
    for number, packing in enumerate(["gz", "zst", "bz2", "xz"]):
        two = packed_by(packing, BODY[:100], tmp_path) + packed_by(packing, BODY[100:], tmp_path)
        assert unpack(two, 10**6) == BODY
        (tmp_path / f"{number}.html").write_bytes(two)
    assert set(outcomes(read("html", tmp_path))) == {PAGE}
    with pytest.raises(Damaged):
        unpack(gzip.compress(BODY) + b"and more that is no member", 10**6)


def test_packed_twice_is_unpacked_twice_and_no_more_than_three_times(tmp_path: Path) -> None:
    data = BODY
    for times in range(1, 6):
        data = gzip.compress(data)
        (tmp_path / "a.html").write_bytes(data)
        (found,) = read("html", tmp_path)
        assert outcomes([found]) == ([PAGE] if times <= 3 else ["undecodable"])


def test_other_formats_are_unpacked_too(tmp_path: Path) -> None:
    (tmp_path / "A.MD.GZ").write_bytes(gzip.compress(b"# A kite\n\nIt flies."))
    (tmp_path / "b.RST.Xz").write_bytes(lzma.compress(b"A kite\n======\n\nIt flies."))
    (tmp_path / "C.PDF.Bz2").write_bytes(bz2.compress(pdf(["A kite flies in the wind."])))
    (tmp_path / "D.JSONL.ZST").write_bytes(packed_by("zst", b'{"text": "A kite flies."}\n', tmp_path))
    (tmp_path / "written").unlink()
    assert [(one.markup, one.title) for one in read("markdown", tmp_path) if isinstance(one, Document)] == [
        ("markdown", "A")
    ]
    assert [one.markup for one in read("text", tmp_path) if isinstance(one, Document)] == ["rst"]
    assert "A kite flies" in outcomes(read("pdf", tmp_path))[0]
    assert outcomes(read("jsonl", tmp_path)) == ["A kite flies."]


@pytest.mark.parametrize("name", ["a.JSONL.GZ", "a.Jsonl.Bz2", "a.NDJSON", "a.JSON.XZ", "a.PARQUET", "a.PQ"])
def test_rows_are_read_by_a_name_in_any_case(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if "PARQUET" in name or "PQ" in name:
        pq.write_table(pa.table({"text": ["A kite"]}), path)
    else:
        packing = name.rpartition(".")[2].lower()
        data = b'[{"text": "A kite"}]' if "JSON." in name else b'{"text": "A kite"}\n'
        path.write_bytes(packed_by(packing, data, tmp_path) if packing in PACKINGS else data)
    assert [row for _, row in read_rows(path)] == [{"text": "A kite"}]


@pytest.mark.parametrize("name", ["A.JSONL.GZ", "a.jsonl.Zst", "a.jsonl.bz2", "a.jsonl.XZ", "a.jsonl.lz4", "a.jsonl"])
def test_a_name_without_its_packing(name: str) -> None:
    assert unpacked_name(name).lower() == "a.jsonl"


def test_a_file_that_is_not_there_keeps_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_bytes(tmp_path / "gone.gz")


@pytest.mark.parametrize("packing", PACKINGS)
def test_word_lists_and_evaluation_prompts_may_be_packed(packing: str, tmp_path: Path) -> None:
    (tmp_path / "WORDS.TXT").write_bytes(packed_by(packing, b"# mild\ndarn\n", tmp_path))
    assert words_of(str(tmp_path / "WORDS.TXT")).found_in("A darn kite.")[0] == ["darn"]
    prompts = tmp_path / f"P.JSONL.{packing.upper()}"
    prompts.write_bytes(packed_by(packing, b'{"prompt": "Say how a kite is made of paper and string"}\n', tmp_path))
    assert evaluation_prompts((str(prompts),)).found_in("Say how a kite is made of paper and string")


# Pages as they came over HTTP


def crawl(folder: Path, body: bytes, headers: str = "", uri: str = "http://x/a", record: str = "") -> Path:
    block = f"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n{headers}\r\n".encode() + body
    start = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {uri}\r\nContent-Type: application/http\r\n{record}"
    path = folder / "x.warc.gz"
    path.write_bytes(gzip.compress(f"{start}Content-Length: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"))
    return path


def chunks(body: bytes, size: int = 100, line: str = "\r\n") -> bytes:
    end = line.encode()
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(f"{len(part):x}".encode() + end + part + end for part in parts) + b"0" + end + end


def bare_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


def test_content_codings_and_their_chains_are_undone(tmp_path: Path) -> None:
    br, zst = packed_by("br", BODY, tmp_path), packed_by("zst", BODY, tmp_path)
    cases = [
        ("Content-Encoding: gzip\r\n", gzip.compress(BODY[:80]) + gzip.compress(BODY[80:])),
        ("Content-Encoding: x-gzip\r\n", gzip.compress(BODY) + b"\0" * 9),
        ("CONTENT-ENCODING: GZIP\r\n", gzip.compress(BODY)),
        ("Content-Encoding: deflate\r\n", zlib.compress(BODY)),
        ("Content-Encoding: deflate\r\n", bare_deflate(BODY)),
        ("Content-Encoding: br\r\n", br),
        ("Content-Encoding: zstd\r\n", zst),
        ("Content-Encoding: gzip, br\r\n", packed_by("br", gzip.compress(BODY), tmp_path)),
        ("Content-Encoding: br, gzip\r\n", gzip.compress(br)),
        ("Content-Encoding: deflate,zstd\r\n", packed_by("zst", zlib.compress(BODY), tmp_path)),
        ("Content-Encoding: gzip, br\r\n", gzip.compress(BODY)),  # the crawler undid the outer one
        ("Content-Encoding: br\r\n", BODY),  # and here all
        ("Content-Encoding: snappy\r\n", BODY),
        ("Content-Encoding: UTF-8\r\n", BODY),
        ("", gzip.compress(BODY)),
        ("", zst),
        ("", bz2.compress(BODY)),
        ("Transfer-Encoding: gzip, chunked\r\n", chunks(gzip.compress(BODY))),
        ("Transfer-Encoding: CHUNKED\r\nContent-Encoding: gzip\r\n", chunks(gzip.compress(BODY), 7)),
        ("Transfer-Encoding: chunked\r\n", chunks(BODY, line="\n")),
        ("Transfer-Encoding: chunked\r\n", BODY),
        ("", chunks(BODY)),  # the header went, the chunks stayed
    ]
    for headers, body in cases:
        assert outcomes(read("warc", crawl(tmp_path, body, headers))) == [PAGE], (headers, body[:10])


def test_what_cannot_be_unpacked_to_its_end_is_undecodable(tmp_path: Path) -> None:
    br, zst = packed_by("br", BODY, tmp_path), packed_by("zst", BODY, tmp_path)
    cases = [
        ("Content-Encoding: gzip\r\n", gzip.compress(BODY)[:-20]),
        ("Content-Encoding: gzip\r\n", gzip.compress(BODY[:80]) + gzip.compress(BODY[80:])[:-20]),
        ("Content-Encoding: gzip\r\n", gzip.compress(BODY) + b"something else"),
        ("Content-Encoding: gzip\r\n", br),
        ("Content-Encoding: deflate\r\n", zlib.compress(BODY)[:-10]),
        ("Content-Encoding: br\r\n", br[:-10]),
        ("Content-Encoding: zstd\r\n", zst[:-10]),
        ("Content-Encoding: snappy\r\n", bytes(range(256)) * 4),
        ("Content-Encoding: gzip, br\r\n", packed_by("br", gzip.compress(BODY)[:-20], tmp_path)),
        ("", br),
        ("", gzip.compress(BODY)[:-20]),
        ("Transfer-Encoding: chunked\r\n", chunks(BODY)[:400]),
        ("", BODY + bytes(400)),
    ]
    for headers, body in cases:
        (found,) = read("warc", crawl(tmp_path, body, headers))
        assert isinstance(found, Rejection), (headers, body[:10])
        assert (found.rule, found.outcome) == ("undecodable", "failed"), (headers, body[:10])


@pytest.mark.parametrize("why", ["length", "time", "disconnect", "unspecified", " Length "])
def test_a_page_that_the_crawler_cut_is_clipped(why: str, tmp_path: Path) -> None:
    (found,) = read("warc", crawl(tmp_path, BODY, record=f"WARC-Truncated: {why}\r\n"))
    assert isinstance(found, Rejection) and found.rule == "clipped"


HEADS = [
    "warc-type: response\r\nwarc-target-uri: http://x/a\r\ncontent-type: application/http\r\ncontent-length",
    "WARC-TYPE: RESPONSE\r\nWARC-TARGET-URI: http://x/a\r\nCONTENT-TYPE: APPLICATION/HTTP\r\nCONTENT-LENGTH",
    "WARC-Type: Response\r\nWarc-Target-Uri: http://x/a\r\nContent-type: Application/HTTP; a=b\r\nContent-Length",
    "Warc-type: response\r\nWARC-target-URI: http://x/a\r\nContent-Type: application/http\r\nContent-length",
    "WARC-Type: response\r\nWARC-Target-URI: http://x/a\r\ncontent-type: application/http\r\nContent-Length",
]
HTTP = [
    "HTTP/1.1 200 OK\r\ncontent-type: TEXT/HTML; CHARSET=Windows-1251",
    "HTTP/1.0 200 ok\r\nCONTENT-TYPE: Text/Html;Charset='WINDOWS-1251'",
    'HTTP/2 200\r\nContent-type: text/html; charset="windows-1251"',
]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("head", HEADS)
def test_words_of_the_protocols_in_any_case(head: str, packed: bool, tmp_path: Path) -> None:
    page = "<h1>Змей</h1><p>Летит по ветру.</p>"
    records = []
    for line in HTTP:
        block = line.encode() + b"\r\n\r\n" + page.encode("cp1251")
        record = f"WARC/1.0\r\n{head}: {len(block)}\r\n\r\n".encode() + block + b"\r\n\r\n"
        records.append(gzip.compress(record) if packed else record)
    (tmp_path / "X.WARC").write_bytes(b"".join(records))
    found = read("warc", tmp_path)
    assert outcomes(found) == [page] * 3
    assert {one.uri for one in found} == {"http://x/a"}


# Encodings

RUSSIAN = "Верёвка лежит на скамье в гавани, и старый смотритель учит детей вязать узлы. " * 3
WORDS = {
    "en": "The rope lies on the bench. " * 5,
    "de": "Das Seil läuft über die Bänke; größer ist müßig. " * 5,
    "ru": RUSSIAN,
    "zh": "绳子放在港口的长凳上，老看守人教孩子们打结。一二三。\n" * 5,
    "ja": "ロープは港のベンチの上にあり、年老いた番人が子供たちに結び方を教えています。" * 3,
    "hi": "रस्सी बंदरगाह की बेंच पर पड़ी है। " * 5,
}


@pytest.mark.parametrize("language", sorted(WORDS))
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("form", ["{}", "<html><body><h1>{0}</h1>\r\n<p>{0}</p></body></html>"])
def test_wide_encodings_without_a_mark(language: str, encoding: str, form: str) -> None:
    text = form.format(WORDS[language])
    assert decode(text.encode(encoding)) == text
    assert decode(("\ufeff" + text).encode(encoding)) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *((RUSSIAN, name) for name in ("cp1251", "koi8_r", "cp866", "iso8859_5")),
        ("Το σχοινί βρίσκεται πάνω στον πάγκο του λιμανιού και ο γέρος μαθαίνει στα παιδιά κόμπους. ", "cp1253"),
        ("החבל מונח על הספסל בנמל והשומר הזקן מלמד את הילדים לקשור קשרים. ", "cp1255"),
        ("الحبل موضوع على المقعد في الميناء والحارس العجوز يعلم الأطفال ربط العقد. ", "cp1256"),
        (WORDS["ja"], "euc_jp"),
        (WORDS["ja"], "cp932"),
        (WORDS["zh"], "gb18030"),
        ("밧줄은 항구의 벤치 위에 놓여 있고 늙은 관리인은 아이들에게 매듭 묶는 법을 가르칩니다. ", "cp949"),
        (WORDS["de"], "cp1252"),
    ],
)
def test_encodings_that_nothing_declares(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text
    assert decode(f"<html><p>{text}</p></html>".encode(encoding)) == f"<html><p>{text}</p></html>"


@pytest.mark.parametrize("encoding", ["windows-1251", "KOI8-R", "ISO-8859-5", "cp866", "x-mac-cyrillic"])
def test_the_encoding_of_an_xml_declaration(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><html><body><p>Да</p></body></html>'
    name = "mac_cyrillic" if encoding.startswith("x-") else encoding
    assert decode(text.encode(name)) == text


@pytest.mark.parametrize(
    "data",
    [
        bytes(range(256)) * 4,
        BODY + bytes(100),
        b"\x89PNG\r\n\x1a\n" + bytes(range(200)) * 3,
        b"".join(bytes([letter, 0, 0]) for letter in BODY[:300]),
        "Größe ".encode("cp1252") + b"\x81\x8d\x8f\x90\x9d" * 20,
        zlib.compress(bytes(range(256)) * 20 + BODY),
    ],
)
def test_bytes_that_are_no_text_are_undecodable(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(Undecodable):
        decode(data)
    (tmp_path / "a.txt").write_bytes(data)
    (tmp_path / "a.html").write_bytes(data)
    assert outcomes(read("text", tmp_path)) == outcomes(read("html", tmp_path)) == ["undecodable"]


def test_a_few_broken_characters_are_no_reason() -> None:
    assert decode(BODY + b"\xff\x00\x01") == PAGE + "ÿ\x00\x01"


# Parquet


def strings(values: list[bytes]) -> pa.Array:
    """A column of text that need not be UTF-8."""
    plain = pa.array(values, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(values), plain.buffers())


def test_one_bad_value_costs_one_row_of_parquet(tmp_path: Path) -> None:
    texts = [f"A kite, number {number}.".encode() for number in range(1000)]
    for bad in (3, 255, 256, 700, 999):
        texts[bad] = b"caf\xe9 " + texts[bad]
    pq.write_table(pa.table({"text": strings(texts)}), tmp_path / "a.parquet", row_group_size=400)
    found = read("parquet", tmp_path)
    assert [one.uri.rpartition("#")[2] for one in found if isinstance(one, Rejection)] == [
        "4",
        "256",
        "257",
        "701",
        "1000",
    ]
    assert {one.rule for one in found if isinstance(one, Rejection)} == {"undecodable"}
    assert outcomes(found)[1] == "A kite, number 1." and len(found) == 1000


def test_bad_values_of_other_columns_and_types_cost_their_row(tmp_path: Path) -> None:
    dates = pa.array([0, 2**62, 0], pa.int64()).view(pa.timestamp("us"))
    pq.write_table(pa.table({"text": ["a", "b", "c"], "date": dates}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["a", None, "c"], "title": strings([b"", b"", b"\xff"])}), tmp_path / "b.parquet")
    pq.write_table(
        pa.table({"text": pa.array([b"a", random.Random(0).randbytes(200), b"caf\xe9"])}), tmp_path / "c.parquet"
    )
    pq.write_table(pa.table({"text": [1, 2, None]}), tmp_path / "d.parquet")
    pq.write_table(pa.table({"text": strings([b"\xff", b"b", b"c"]).dictionary_encode()}), tmp_path / "e.parquet")
    assert {path.name: outcomes(read("parquet", path)) for path in sorted(tmp_path.iterdir())} == {
        "a.parquet": ["a", "unreadable", "c"],
        "b.parquet": ["a", "no-text-field", "undecodable"],
        "c.parquet": ["a", "undecodable", "café"],
        "d.parquet": ["no-text-field"] * 3,
        "e.parquet": ["undecodable", "b", "c"],
    }


def test_a_broken_page_costs_the_rest_of_its_row_group(tmp_path: Path) -> None:
    texts = [f"{number * 7919 % 100003} kites" for number in range(3000)]
    path = tmp_path / "a.parquet"
    options = {"row_group_size": 1000, "data_page_size": 512, "use_dictionary": False, "write_batch_size": 50}
    pq.write_table(pa.table({"text": texts}), path, **options)
    data = bytearray(path.read_bytes())
    at = data.index(b"kites", pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset + 2000)
    data[at - 200 : at + 200] = b"\xff" * 400
    path.write_bytes(data)
    found = read("parquet", path)
    good = [one.text for one in found if isinstance(one, Document)]
    (lost,) = (one for one in found if isinstance(one, Rejection))
    assert lost.outcome == "failed" and "of row group 2" in lost.detail
    assert good[:1000] == texts[:1000] and good[-1000:] == texts[2000:] and len(good) > 2000
