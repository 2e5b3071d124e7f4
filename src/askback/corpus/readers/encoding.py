"""Bytes → text."""

import codecs
import re
import unicodedata

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_META_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s{0,40}=[\s"']{0,40}([\w.:-]{1,40})""", re.IGNORECASE)
_XML_ENCODING = re.compile(
    rb"""\A\s{0,20}<\?xml[^>]{0,100}?encoding\s{0,40}=[\s"']{1,40}([\w.:-]{1,40})""", re.IGNORECASE
)
_SEVEN_BIT = re.compile(rb"iso-2022-[jkc]|charset=.?hz-gb|^hz", re.IGNORECASE)
_WEB_NAMES = {
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1", "ascii", "us-ascii"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk", "x-gbk", "gb_2312-80"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "x-sjis", "sjis"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "ks_c_5601"), "cp949"),
    "iso-8859-9": "cp1254",
    "x-euc-jp": "euc_jp",
    "iso-8859-11": "cp874",
    "x-mac-cyrillic": "mac-cyrillic",
    "macintosh": "mac-roman",
    "big5": "big5hkscs",
}
"""What pages mean by a name, which is what browsers take it for."""
_KNOWN = {
    *("utf-16", "utf-16-le", "utf-16-be", "koi8-r", "koi8-u", "cp866", "mac-roman", "mac-cyrillic", "ascii"),
    *(f"iso8859-{part}" for part in range(1, 17)),
    *(f"cp{page}" for page in (874, 932, 949, *range(1250, 1259))),
    *("gb2312", "gbk", "gb18030", "hz", "big5", "big5hkscs", "euc_jp", "shift_jis", "euc_kr", "tis-620"),
    *("iso2022_jp", "iso2022_jp_1", "iso2022_jp_2", "iso2022_jp_ext", "iso2022_kr"),
}
"""What browsers read, or once did, as Python calls it. Of its others some take the square of a page's length, as punycode
does, and some are no encodings of pages."""


_UNDECLARED = (
    *("cp1251", "koi8_r", "cp866", "iso8859_5", "mac_cyrillic", "cp1253", "iso8859_7", "cp1255", "cp1256", "cp874"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949"),
)
"""What a text of mostly other letters than Latin ones may be in, if nothing says so."""
_MOSTLY_HIGH, _FEW = 0.3, 24
"""Least share and least number of bytes above 127 in a text that is not in Latin letters."""
_CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n\v\f\r\x1a\x1b")
_CONTROL = re.compile("[\x00-\x08\x0e-\x19\x1c-\x1f]")
_BETWEEN = re.compile("[\x00-\u0fff\u3000-\u30ff\uff00-\uffef]")
_SAMPLE = 8192
"""Bytes that are looked at to guess an encoding."""
MOST_BROKEN = 8, 200
"""Characters that could not be decoded which a text may hold: 8, and 1 more for each 200 characters."""


class Undecodable(ValueError):
    """Bytes that are no text, or too many of them not."""


def decode(data: bytes, stated: str = "") -> str:
    """Return the text of a page.

    In this order: a byte order mark; UTF-16 or UTF-32 without one, where there are NULs and all fits; UTF-8, if the bytes
    are valid as such (that is no accident, whatever the page says); the encoding of the HTTP header (`stated`), of the
    XML declaration, of the page's meta element; else UTF-8 or Windows-1252, whichever fits more of the bytes, or where
    those are mostly above 127, what charset-normalizer finds. What then cannot be decoded becomes U+FFFD.

    Raises:
        Undecodable: more characters are NUL, controls or U+FFFD than `MOST_BROKEN` allows.
    """
    sample = data[:1024]
    controls = b"\0" in data or len(sample) > len(sample.translate(None, _CONTROLS))
    text = _decoded(data, stated, controls)
    broken = text.count("\ufffd")
    if controls or broken:
        broken += len(_CONTROL.findall(text))
    most = MOST_BROKEN[0] + len(text) // MOST_BROKEN[1]
    if broken > most:
        raise Undecodable(f"{broken} of {len(text)} characters are NUL, controls or undecodable, at most {most} wanted")
    return text


def _decoded(data: bytes, stated: str, controls: bool) -> str:
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    if controls and (wide := _wide(data)):  # half of "。" or of a space is one
        return data.decode(wide, "replace")
    if not _SEVEN_BIT.search(stated.encode("ascii", "replace") + data[:1024]):
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            pass
    found = (_XML_ENCODING.search(data[:200]), _META_CHARSET.search(data[:4096]))
    names = [stated.strip("\"' "), *(one[1].decode("ascii", "replace") for one in found if one)]
    for name in filter(None, names):
        if name.lower() in ("utf-8", "utf8", "utf-16"):
            continue
        try:
            known = codecs.lookup(_WEB_NAMES.get(name.lower(), name)).name
            if known in _KNOWN:
                return data.decode(known, "replace")
        except (LookupError, ValueError):
            continue
    return _guess(data)


def _wide(data: bytes) -> str | None:
    """Return the encoding of two or four bytes a character that makes text of all of a sample, if one does.

    In the wrong one, letters become characters that are not assigned, or ideographs with no punctuation between them.
    """
    best, name = 0.05, None
    for candidate in _WIDE:
        try:
            text = codecs.getincrementaldecoder(candidate)("strict").decode(data[:_SAMPLE])
        except UnicodeDecodeError:
            continue
        if _CONTROL.search(text) or any(unicodedata.category(character) in ("Cn", "Co") for character in set(text)):
            continue
        score = len(_BETWEEN.findall(text)) / max(len(text), 1)
        if score > best:
            best, name = score, candidate
    return name


def _guess(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    above = len(data) - len(data.decode("ascii", "ignore"))
    if above - wrong > 2 * wrong:
        return text
    if above >= _FEW and above > _MOSTLY_HIGH * len(re.sub(rb"<[^<>]*>|\s", b"", data)) and (name := _undeclared(data)):
        return data.decode(name, "replace")
    return data.decode("cp1252", "replace")


def _undeclared(data: bytes) -> str | None:
    from charset_normalizer import from_bytes  # only such pages need it

    sample = re.sub(rb"<[^<>]*>", b" ", data[: 16 * _SAMPLE])[: 4 * _SAMPLE]
    found = from_bytes(sample, cp_isolation=list(_UNDECLARED)).best()
    return str(found.encoding) if found else None


def clean(text: str) -> str:
    """Return `text` with lone surrogates replaced: they can be in JSON and file names, and in no encoded file."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
