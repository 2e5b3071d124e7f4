"""PDF files made for tests, small and whole."""

import io
from collections.abc import Sequence
from typing import Any

Lines = Sequence[tuple[str, float]]


def pdf(pages: Sequence[str | Lines], outline: Sequence[tuple[str, int, int]] = (), **about: str) -> bytes:
    """Return a PDF of these pages, each a text or lines with their sizes in points.

    Args:
        pages: what stands on them.
        outline: title, page and, as an index of this list or -1, the entry it stands below.
        about: its metadata, as in ``Title="A"``.
    """
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    font = {"/Type": NameObject("/Font"), "/Subtype": NameObject("/Type1"), "/BaseFont": NameObject("/Helvetica")}
    font["/Encoding"] = NameObject("/WinAnsiEncoding")
    reference = writer._add_object(DictionaryObject({NameObject(key): value for key, value in font.items()}))
    for lines in pages:
        page = writer.add_blank_page(595, 842)
        fonts = DictionaryObject({NameObject("/F1"): reference})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = DecodedStreamObject()
        stream.set_data(_drawn([(lines, 11.0)] if isinstance(lines, str) else lines))
        page[NameObject("/Contents")] = writer._add_object(stream.flate_encode())
    made: list[Any] = []
    for title, number, parent in outline:
        made.append(
            writer.add_outline_item(title=title, page_number=number, parent=made[parent] if parent >= 0 else None)
        )
    writer.add_metadata({f"/{name}": value for name, value in about.items()})
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _drawn(lines: Lines) -> bytes:
    y, parts = 800.0, []
    for text, size in lines:
        y -= 1.4 * size
        shown = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
        parts.append(f"BT /F1 {size} Tf 1 0 0 1 60 {y:.1f} Tm ({shown}) Tj ET")
    return "\n".join(parts).encode("cp1252")
