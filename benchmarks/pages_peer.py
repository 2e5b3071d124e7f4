"""The peers of benchmarks/pages.py, run by a Python that has them: python pages_peer.py NAME < pages > texts

A line of input is the HTML of a page as a JSON string, a line of output the text found; the last line is CPU seconds.
"""

import json
import sys
import time
from collections.abc import Callable


def extractor(name: str) -> Callable[[str], str]:
    """Return a peer's extraction of main text with its own settings, tables and comments as they are by default."""
    if name == "trafilatura":
        import trafilatura

        return lambda page: trafilatura.extract(page) or ""
    if name == "readability-lxml":
        import html_text
        from readability import Document

        return lambda page: html_text.extract_text(Document(page).summary())
    if name == "resiliparse":
        from resiliparse.extract.html2text import extract_plain_text

        return lambda page: extract_plain_text(page, main_content=True)
    import html_text

    return lambda page: html_text.extract_text(page)


def main() -> None:
    """Extract each page; what a peer fails on is an empty text."""
    extract = extractor(sys.argv[1])
    pages = [json.loads(line) for line in sys.stdin]
    extract("<html><body><p>A page of one line.</p></body></html>")
    seconds = 0.0
    for page in pages:
        start = time.process_time()
        try:
            text = extract(page)
        except Exception:  # noqa: BLE001  a peer's failure is its result
            text = ""
        seconds += time.process_time() - start
        print(json.dumps(text))
    print(seconds)


if __name__ == "__main__":
    main()
