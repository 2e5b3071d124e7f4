"""MathML as a line of text: ``10^−34``, ``v_0``, ``(a + b)/2``."""

import re
from collections.abc import Callable, Sequence
from html import unescape

_SPACED = set("=≠≈≡<>≤≥+−±×÷·⋅∙→⟶←⇌↔∈∝∼∪∩∧∨")
_SILENT = {"annotation", "annotation-xml", "mphantom", "mprescripts", "none"}
_ACCENTS = set("\u00af\u02c9\u20d7→←^~¯ˆ˜˙¨_.")
_SHORT = re.compile(r"[-−–+]?[\w.]+|[\d.]*[-−–+]|.?")
_SPACES = re.compile(r" {2,}")
_SIGN = re.compile(r"(^|[(\[=,<>≤≥]) ?([-−–+±]) (?=[\w.(])")


def linear(tags: Sequence[str | None], attributes: Sequence[str | None], texts: Sequence[str]) -> str:
    """Return the formula that the tokens of one `math` element spell (each tag with the text that follows it).

    A TeX annotation is the author's own line of text, so it is taken where there is one. Text is serialised HTML, and
    so is what is returned.
    """
    if "annotation" in tags:
        for at, tag in enumerate(tags):
            if tag == "annotation" and "application/x-tex" in (attributes[at] or ""):
                return f"${' '.join(texts[at].split())}$"
    parts: list[str] = []
    stack: list[tuple[str, list[str]]] = []
    for tag, text in zip(tags, texts, strict=True):
        if tag and tag[0] != "/":
            stack.append((tag, parts))
            parts = []
        elif tag and stack:
            name, outer = stack.pop()
            if parts:
                outer.append(_FORMS[name](parts) if name in _FORMS else "".join(parts))
            elif name == "mspace":
                outer.append(" ")
            elif stack and stack[-1][0] in _SCRIPTS:
                outer.append("")  # an empty base still is one
            parts = outer
        if text and not text.isspace():
            parts.append(unescape(text) if "&" in text else text)
    for name, outer in reversed(stack):
        parts = [*outer, _FORMS[name](parts) if name in _FORMS else "".join(parts)]
    line = _SIGN.sub(_signed, _SPACES.sub(" ", "".join(parts)).strip())
    return line.replace("&", "&amp;").replace("<", "&lt;")


def _operator(parts: list[str]) -> str:
    sign = "".join(parts).strip()
    return f" {sign} " if sign in _SPACED else sign


def _signed(found: re.Match[str]) -> str:
    """Set the sign of a number against it: what stands before it has no value."""
    return f"{found[1]} {found[2]}" if found[1] and found[1] not in "([" else found[1] + found[2]


def _group(part: str) -> str:
    part = _SIGN.sub(_signed, part)
    return part if _SHORT.fullmatch(part) else f"({part})"


def _power(parts: list[str]) -> str:
    base, power = _two(parts)
    return f"{base}^{_group(power)}" if power and power not in _ACCENTS else base


def _index(parts: list[str]) -> str:
    base, index = _two(parts)
    power = f"^{_group(parts[2].strip())}" if len(parts) > 2 and parts[2].strip() else ""
    return (f"{base}_{_group(index)}" if index else base) + power


def _two(parts: list[str]) -> tuple[str, str]:
    return parts[0].strip(), parts[1].strip() if len(parts) > 1 else ""


def _fraction(parts: list[str]) -> str:
    top, bottom = _two(parts)
    return f"{_group(top)}/{_group(bottom)}"


_SCRIPTS: dict[str, Callable[[list[str]], str]] = {
    **dict.fromkeys(("msup", "mover"), _power),
    **dict.fromkeys(("msub", "msubsup", "munder", "munderover"), _index),
    "mfrac": _fraction,
    "mroot": lambda parts: "({})^(1/{})".format(*_two(parts)),
}

_FORMS: dict[str, Callable[[list[str]], str]] = {
    **_SCRIPTS,
    **dict.fromkeys(_SILENT, lambda parts: ""),
    "mo": _operator,
    "msqrt": lambda parts: f"√({''.join(parts).strip()})",
    "mtr": lambda parts: ", ".join(part.strip() for part in parts),
    "mtable": lambda parts: "; ".join(part.strip() for part in parts),
    "mfenced": lambda parts: f"({', '.join(part.strip() for part in parts)})",
}
