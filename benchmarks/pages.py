"""The corpus room on real pages with gold text, beside other extractors: python benchmarks/pages.py FOLDER [...]

FOLDER holds any of three files of JSON lines, packed by gzip, each line a page `{id, html_base64, ...}`:

snippets.jsonl.gz     `must_have` and `must_not_have`, lists of texts (as in trafilatura's evaluation)
articles.jsonl.gz     `text`, the article (as in article-extraction-benchmark)
readability.jsonl.gz  `expected_html`, the article's HTML (as in Readability's test pages)

Precision, recall and F1 are those of snippets over all pages, and of the bags of words of each page, averaged over pages,
with 95 % intervals of a bootstrap over pages. A must-have counts where the page's own HTML holds it (`raw`). Headings,
lists, tables and code are counted where `expected_html` has them: a heading with its words in a line of the text, a list
item and a table row likewise, code if its text is there as it is. `yield` is the share of the gold words, and `pure` the
share of kept words that are gold, in the segments that the default rules keep. Pages a second are of CPU time, by turns.

The peers run in a Python of their own:

    python -m venv peer
    peer/bin/pip install trafilatura readability-lxml lxml_html_clean resiliparse html_text
    python benchmarks/pages.py FOLDER --peer-python peer/bin/python

--half a|b takes one half of the pages, by a hash of their ids, so that rules are tuned on one and reported on the other.
"""

import argparse
import base64
import gzip
import hashlib
import html
import json
import random
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import mean
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from askback.corpus.cut import cut, sections_of
from askback.corpus.readers.encoding import Undecodable, decode
from askback.corpus.readers.head import head
from askback.corpus.segment import Section
from askback.corpus.xml import is_xhtml
from askback.recipe import Corpus
from askback.records import Document, Rejection

PEERS = ("trafilatura", "readability-lxml", "resiliparse", "html_text")
KINDS = ("snippets", "articles", "readability")
DRAWS = 1000
SOURCES: dict[str, Any] = {"sources": [{"format": "installed-docs"}]}
OPTIONS = Corpus.model_validate(SOURCES)


def pages(folder: Path, half: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the kind and the record of each page, its HTML as text under `html`."""
    for kind in KINDS:
        path = folder / f"{kind}.jsonl.gz"
        for line in gzip.decompress(path.read_bytes()).decode().splitlines() if path.exists() else []:
            page = json.loads(line)
            side = "ab"[hashlib.sha256(page["id"].encode()).digest()[0] % 2]
            if half in ("", side):
                try:
                    page["html"] = decode(base64.b64decode(page["html_base64"]))
                except Undecodable:
                    page["html"] = ""
                yield kind, page


def document(page: dict[str, Any]) -> Document:
    """Return a page as the reader of HTML files gives it."""
    found = head(page["html"])
    return Document(page["id"], page["html"], "xhtml" if is_xhtml(page["html"], "") else "html", "html", found.title)


def ours(page: dict[str, Any]) -> str:
    """Return the text of all sections of a page, before any rule on segments."""
    sections = sections_of(document(page), OPTIONS)
    return "" if isinstance(sections, Rejection) else "\n".join(map(_whole, sections))


def _whole(section: Section) -> str:
    return f"{section.header}\n{section.text()}"


def words(text: str) -> Counter[str]:
    """Return the bag of a text's words."""
    return Counter(re.findall(r"\w+", text.lower()))


def overlap(found: Counter[str], gold: Counter[str]) -> tuple[float, float, float]:
    """Return precision, recall and F1 of bags of words."""
    both = (found & gold).total()
    precision, recall = both / max(found.total(), 1), both / max(gold.total(), 1)
    return precision, recall, 2 * both / max(found.total() + gold.total(), 1)


def squeezed(text: str) -> str:
    """Return a text without white space and Markdown's marks, as snippets and lines are looked for."""
    return re.sub(r"[\s`*_|\\>#-]+", "", text).lower()


def gold_text(kind: str, page: dict[str, Any]) -> str:
    """Return a page's gold text."""
    if kind == "articles":
        return str(page["text"])
    tree = LexborHTMLParser(page["expected_html"])
    tree.strip_tags(["script", "style"])
    return tree.body.text(separator=" ") if tree.body else ""


def structure(page: dict[str, Any]) -> dict[str, list[str]]:
    """Return the headings, list items, table rows and code of the gold HTML."""
    tree = LexborHTMLParser(page["expected_html"])

    def of(selector: str) -> list[str]:
        return [found for node in tree.css(selector) if len(squeezed(found := node.text(separator=" "))) > 3]

    return {"headings": of("h1, h2, h3, h4, h5, h6"), "lists": of("li"), "tables": of("table tr"), "code": of("pre")}


def present(parts: Iterable[str], text: str) -> tuple[int, int]:
    """Return how many parts are in a text, and how many there are."""
    there, parts = squeezed(text), list(parts)
    return sum(squeezed(part) in there for part in parts), len(parts)


Row = dict[str, Any]


def measure(extract: Callable[[int], str], found: list[tuple[str, dict[str, Any]]]) -> list[Row]:
    """Return the figures of each page for one extractor."""
    rows = []
    for number, (kind, page) in enumerate(found):
        text = extract(number)
        row: Row = {"id": page["id"], "kind": kind}
        if kind == "snippets":
            raw = squeezed(html.unescape(re.sub(r"<[^>]*>", "", page["html"])))
            wanted = [one for one in page["must_have"] if squeezed(one) in raw]
            row["have"] = present(wanted, text)
            row["have_all"] = present(page["must_have"], text)
            row["not"] = present(page["must_not_have"], text)
        else:
            row["scores"] = overlap(words(text), words(gold_text(kind, page)))
        if kind == "readability":
            row["structure"] = {name: present(parts, text) for name, parts in structure(page).items()}
        rows.append(row)
    return rows


def f1_of(rows: list[Row], kind: str) -> float:
    """Return the F1 of a kind of pages."""
    if kind != "snippets":
        return float(mean(row["scores"][2] for row in rows))
    hits, wanted = (sum(row["have_all"][at] for row in rows) for at in (0, 1))
    wrong = sum(row["not"][0] for row in rows)
    return float(2 * hits / max(hits + wanted + wrong, 1))


def interval(value: Callable[[list[Row]], float], rows: list[Row]) -> tuple[float, float]:
    """Return the 95 % interval of a figure by a bootstrap over pages."""
    rng = random.Random(0)
    drawn = sorted(value(rng.choices(rows, k=len(rows))) for _ in range(DRAWS))
    return drawn[DRAWS // 40], drawn[-DRAWS // 40]


def shares(rows: list[Row]) -> list[str]:
    """Return a line for each kind of pages."""
    lines = []
    for kind in KINDS:
        mine = [row for row in rows if row["kind"] == kind]
        if not mine:
            continue
        low, high = interval(lambda some, kind=kind: f1_of(some, kind), mine)  # type: ignore[misc]
        line = f"{kind:12s} {len(mine):4d} pages  F1 {f1_of(mine, kind):.3f} ({low:.3f} to {high:.3f})"
        if kind == "snippets":
            have, absent = (_share(row[name] for row in mine) for name in ("have", "not"))
            line += f"  must-have {have:.3f}  must-not absent {1 - absent:.3f}"
        else:
            line += "  precision {:.3f}  recall {:.3f}".format(*(mean(r["scores"][at] for r in mine) for at in (0, 1)))
        if kind == "readability":
            for name in ("headings", "lists", "tables", "code"):
                counts = [row["structure"][name] for row in mine]
                line += f"  {name} {sum(one for one, _ in counts)}/{sum(two for _, two in counts)}"
        lines.append(line)
    return lines


def _share(counts: Iterable[tuple[int, int]]) -> float:
    counts = list(counts)
    return sum(one for one, _ in counts) / max(sum(two for _, two in counts), 1)


def yields(found: list[tuple[str, dict[str, Any]]], options: Corpus) -> list[str]:
    """Return the share of the gold text that is in kept segments, and how much of those is gold."""
    lines = []
    for kind in KINDS[1:]:
        kept_words = gold_words = both = empty = 0
        mine = [page for one, page in found if one == kind]
        for page in mine:
            kept = cut([document(page)], options).kept
            text = "\n".join(f"{one.header_path[-1] if one.header_path else ''}\n{one.text}" for one in kept)
            bag, gold = words(text), words(gold_text(kind, page))
            both += (bag & gold).total()
            kept_words, gold_words, empty = kept_words + bag.total(), gold_words + gold.total(), empty + (not kept)
        if mine:
            lines.append(
                f"{kind:12s} yield {both / max(gold_words, 1):.3f}  pure {both / max(kept_words, 1):.3f}  "
                f"pages without a segment {empty} of {len(mine)}"
            )
    return lines


def timed(found: list[tuple[str, dict[str, Any]]]) -> float:
    """Return the CPU seconds that ours takes for all pages."""
    start = time.process_time()
    for _, page in found:
        ours(page)
    return time.process_time() - start


def peer(python: str, name: str, found: list[tuple[str, dict[str, Any]]]) -> tuple[list[str], float]:
    """Return the texts a peer finds, and the CPU seconds it takes."""
    script = Path(__file__).with_name("pages_peer.py")
    lines = "\n".join(json.dumps(page["html"]) for _, page in found)
    done = subprocess.run([python, script, name], input=lines, capture_output=True, text=True, check=True)
    *texts, seconds = map(json.loads, done.stdout.splitlines())
    return texts, float(seconds)


def main() -> None:
    """Print the figures of ours and of each peer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=("a", "b"), default="")
    parser.add_argument("--peer-python", default="")
    parser.add_argument("--preset", default="")
    parser.add_argument("--pages-out", type=Path, help="write each page's figures of ours here, as JSON lines")
    given = parser.parse_args()
    found = list(pages(given.folder, given.half))
    texts = [ours(page) for _, page in found]
    rows = measure(texts.__getitem__, found)
    print(f"ours         {len(found) / timed(found):.0f} pages/s", *shares(rows), sep="\n", flush=True)
    options = Corpus.model_validate(SOURCES | ({"preset": given.preset} if given.preset else {}))
    print(*yields(found, options), sep="\n", flush=True)
    if given.pages_out:
        given.pages_out.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    for name in PEERS if given.peer_python else ():
        peer_texts, seconds = peer(given.peer_python, name, found)
        print(f"{name:12s} {len(found) / seconds:.0f} pages/s (ours {len(found) / timed(found):.0f})")
        print(*shares(measure(peer_texts.__getitem__, found)), sep="\n", flush=True)


if __name__ == "__main__":
    main()
