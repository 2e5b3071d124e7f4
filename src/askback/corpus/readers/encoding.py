"""Bytes → text."""

import codecs
import re

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_META_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_SEVEN_BIT = re.compile(rb"iso-2022-[jkc]|charset=.?hz-gb|^hz", re.IGNORECASE)
_WEB_NAMES = {
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1", "ascii", "us-ascii"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk", "x-gbk", "gb_2312-80"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "x-sjis", "sjis"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "ks_c_5601"), "cp949"),
    "iso-8859-9": "cp1254",
    "x-euc-jp": "euc_jp",
    "iso-8859-11": "cp874",
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


def decode(data: bytes, stated: str = "") -> str:
    """Return the text of a page.

    In this order: a byte order mark; UTF-8, if the bytes are valid as such (that is no accident, whatever the page
    says); the encoding of the HTTP header (`stated`); that of the page's meta element; else UTF-8 or Windows-1252,
    whichever fits more of the bytes. What then cannot be decoded becomes U+FFFD.
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    if not _SEVEN_BIT.search(stated.encode("ascii", "replace") + data[:1024]):
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            pass
    found = _META_CHARSET.search(data[:4096])
    names = [name for name in (stated.strip("\"' "), found[1].decode("ascii", "replace") if found else "") if name]
    for name in names:
        if name.lower() in ("utf-8", "utf8", "utf-16"):
            continue
        try:
            known = codecs.lookup(_WEB_NAMES.get(name.lower(), name)).name
            if known in _KNOWN:
                return data.decode(known, "replace")
        except (LookupError, ValueError):
            continue
    return _guess(data)


def _guess(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    right = len(data) - len(data.decode("ascii", "ignore")) - wrong
    return text if right > 2 * wrong else data.decode("cp1252", "replace")


def clean(text: str) -> str:
    """Return `text` with lone surrogates replaced: they can be in JSON and file names, and in no encoded file."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
