"""Which licences a document may have (ours; the paper's corpus has none that it states)."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from askback.recipe import Corpus


def other_licence(licence: str, options: Corpus) -> str | None:
    """Rule "licence": a document whose stated licence no pattern of `licences` allows. Off where that is empty (default).

    Patterns are globs (``CC-BY-*``, ``*creativecommons.org/licenses/by/*``) and do not mind case. Of "A OR B" one has to
    be allowed, of "A AND B" both; an expression with brackets is compared as a whole. A document that states no licence
    has the licence "", which only the patterns "" and "*" allow.
    """
    patterns = [pattern.lower() for pattern in options.licences]
    stated = licence.lower().strip()
    if not patterns or _allowed(stated, patterns):
        return None
    if "(" not in stated and any(
        all(_allowed(one.strip(), patterns) for one in choice.split(" and ")) for choice in stated.split(" or ")
    ):
        return None
    return f"licence {licence[:100]!r}, allowed: {', '.join(options.licences)}"


def _allowed(licence: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(licence, pattern) for pattern in patterns)
