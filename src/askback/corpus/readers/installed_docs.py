"""Documentation that is installed already: the READMEs of Python distributions and Python's own help topics.

Real, human-written technical text on every machine, with no download.
"""

import platform
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING

from askback.corpus.readers import Reader
from askback.corpus.readers.encoding import clean
from askback.errors import reason_of
from askback.inputs.remote import File
from askback.recipe import Corpus, CorpusSource
from askback.records import Document, Markup, Rejection, fail, record_id, reject

if TYPE_CHECKING:
    from importlib.metadata import PackageMetadata

_MARKUP: dict[str, Markup] = {"text/markdown": "markdown", "text/x-rst": "rst", "text/plain": "text", "": "rst"}


UNREADABLE = (OSError, ValueError, LookupError)
"""What reading a distribution's metadata may raise, as where they are not UTF-8."""


def installed_distributions() -> Iterator[Distribution]:
    """Yield what is installed for this Python, and not what a program adds for itself, as Ray does in its workers."""
    for distribution in distributions():
        if Path(str(distribution.locate_file(""))).name in ("site-packages", "dist-packages"):
            yield distribution


def read_installed_docs(paths: Sequence[File], source: CorpusSource, options: Corpus) -> Iterator[Document | Rejection]:
    """Read the description of every installed distribution, by name, then every topic of `pydoc`, by name."""
    named = _named()
    for name in sorted(named):
        yield _readme(name, named[name], source, options)
    yield from _topics(options)


def _named() -> dict[str, Distribution]:
    """Return the first distribution of each name."""
    named: dict[str, Distribution] = {}
    for distribution in installed_distributions():
        if name := _name(distribution) or _folder(distribution):
            named.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution)
    return named


def _name(distribution: Distribution) -> str:
    """Return a distribution's name, "" where its metadata cannot be read."""
    try:
        return _field(distribution.metadata, "Name")
    except UNREADABLE:
        return ""


def _folder(distribution: Distribution) -> str:
    """Return the name that the folder of a distribution's metadata begins with."""
    return Path(str(getattr(distribution, "_path", ""))).name.partition("-")[0]


def count() -> int:
    """Return the number of distributions and topics."""
    from pydoc_data.topics import topics

    return len(_named()) + len(topics)


def _readme(name: str, distribution: Distribution, source: CorpusSource, options: Corpus) -> Document | Rejection:
    uri = f"pypi:{name}"
    try:
        uri = f"pypi:{name}@{distribution.version}"
        metadata = distribution.metadata
        text = _field(metadata, "Description")
    except UNREADABLE as error:
        return fail(record_id(uri), "documents", "unreadable", f"{type(error).__name__}: {reason_of(error)}", uri=uri)
    identity = record_id(uri)
    if not text.strip() or text.strip() == "UNKNOWN":
        return reject(identity, "documents", "no-text", "the distribution has no description", uri=uri)
    if detail := _too_large(text, options):
        return reject(identity, "documents", "too-large", detail, uri=uri)
    kind = _field(metadata, "Description-Content-Type").partition(";")[0].strip().lower()
    markup = _MARKUP.get(kind, "text")
    return Document(uri, text, markup, source.format, name, _licence(metadata) or source.licence)


def _too_large(text: str, options: Corpus) -> str | None:
    size = len(text.encode("utf-8"))
    return f"{size} bytes, at most {options.max_document_bytes} wanted" if size > options.max_document_bytes else None


def _licence(metadata: "PackageMetadata") -> str:
    """Return what the distribution states: an SPDX expression, else its classifiers, else a licence field of one line."""
    if expression := _field(metadata, "License-Expression"):
        return expression.strip()
    classifiers = [str(line) for line in metadata.get_all("Classifier") or [] if str(line).startswith("License ::")]
    names = [line.rpartition("::")[2].strip() for line in classifiers if line.count("::") > 1]
    if names:
        return clean(" OR ".join(sorted(set(names))))
    field = _field(metadata, "License").strip()
    return field if len(field) <= 100 and "\n" not in field and field != "UNKNOWN" else ""


def _field(metadata: "PackageMetadata", name: str) -> str:
    return clean(str(metadata[name] or "")) if name in metadata else ""


def _topics(options: Corpus) -> Iterator[Document | Rejection]:
    from pydoc_data.topics import topics

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for name in sorted(topics):
        uri = f"python:{name}@{version}"
        text = topic_rst(clean(topics[name]))
        if detail := _too_large(text, options):
            yield reject(record_id(uri), "documents", "too-large", detail, uri=uri)
        else:
            yield Document(uri, text, "rst", "installed-docs", name, "PSF-2.0")


_UNDERLINE = re.compile(r"([*=\-^~\"])\1{2,}")
_LIST_MARK = re.compile(r"\s*(?:[*-]|\d+\.) +")
_SIGNATURE = re.compile(
    r"(?:(?:class|exception|classmethod|static|async|abstract) )*[\w.]+(?:\(.*\))?(?: -> .*)?", re.DOTALL
)
_QUOTED = re.compile(r"""(\w?)"([^"`\s](?:[^"`]*[^"`\s])?)"(\w?)|\\""")
_RUBRIC = re.compile(r"-\[ (.*) \]-")
_HYPHEN = re.compile(r"(?<=\w)-\n *(?=\w)")
_EXAMPLE_INDENT = 3


def topic_rst(text: str) -> str:
    """Return a help topic as reStructuredText.

    Topics (in Python 3.11 as in later ones) are what Sphinx's text builder made of the language reference: headers are
    underlined, but code is only quoted, and an example only indented by three, as the text under a signature is too. So
    quotes become code, examples are marked as literal, and backslashes are escaped.
    """
    made: list[str] = []
    base, signature, literal = 0, True, False
    for chunk in re.split(r"\n\s*\n", text.expandtabs().strip("\n")):
        lines = chunk.split("\n")
        indent = len(lines[0]) - len(lines[0].lstrip())
        literal = literal and indent > base
        if literal or (indent == base + _EXAMPLE_INDENT and not signature and not _LIST_MARK.match(chunk)):
            made += [chunk] if literal else [" " * base + "::", chunk]
            literal = True
            continue
        if len(lines) == 2 and _UNDERLINE.fullmatch(lines[1]):
            title = _inline(lines[0])
            made.append(f"{title}\n{lines[1][0] * len(title)}")
            base, signature = 0, False
            continue
        signature = all(_SIGNATURE.fullmatch(line.strip()) for line in lines)
        if rubric := _RUBRIC.fullmatch(chunk):
            made.append(f"{rubric[1]}\n{'*' * len(chunk)}")
        elif signature and "(" in chunk:
            made.append("\n".join(" " * indent + f"``{line.strip()}``" for line in lines))
        else:
            made.append(chunk if lines[0].lstrip()[:1] in "+|" else _inline(chunk))
        marks = [mark.end() for line in lines if (mark := _LIST_MARK.match(line))]
        base = marks[-1] if marks else indent
    return "\n\n".join(made)


def _inline(chunk: str) -> str:
    """Write what straight quotes enclose as code, since prose has curly ones; join words wrapped at a hyphen."""

    def code(found: re.Match[str]) -> str:
        if found[2] is None:
            return r"\\"
        before, after = (f"{found[1]}\\ " if found[1] else ""), (f"\\ {found[3]}" if found[3] else "")
        return f"{before}``{found[2]}``{after}"

    return _QUOTED.sub(code, _HYPHEN.sub("-", chunk))


def fingerprint(source: CorpusSource) -> str:
    """Return a hash of what is installed, and of the Python whose topics are read."""
    names = sorted(f"{found.name}=={found.version}" for found in installed_distributions() if _name(found))
    return f"{len(set(names))} distributions {record_id(platform.python_version(), *names)}"


READER = Reader(read_installed_docs, markup="rst", needs_path=False, fingerprint=fingerprint, count=count)
