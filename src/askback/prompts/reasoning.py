"""Removal of the reasoning that a model writes unasked before or within an answer."""

import re

_NAMES = ("think", "thinking", "thought", "thoughts", "reasoning", "reflection", "seed:think")
FORMS = (
    *((f"<{name}>", f"</{name}>") for name in _NAMES),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)
"""The opening and closing tags of reasonings of models in use; a template may show others (rendering.py)."""
PAIRS = re.compile(r"<([A-Za-z][\w:.-]{0,40})>\s*</\1>|\[([A-Za-z]\w{0,40})\]\s*\[/\2\]")
"""An empty block, as templates write one for an answer without a reasoning."""


def without_reasoning(text: str, forms: tuple[tuple[str, str], ...] = FORMS) -> str:
    """Return an answer without the blocks of reasoning that begin at the start of a line.

    A block that is not closed goes on to the end. A closing tag without an opening one, as after a prompt that opens a
    block, ends a reasoning from the beginning. A tag within a line stays, as the text may be about it.
    """
    for start, end in forms:
        if start not in text and end not in text:
            continue
        text = _without_blocks(_after_closing(text, start, end), start, end)
    return text


def _after_closing(text: str, start: str, end: str) -> str:
    """Remove the text up to a closing tag, at the start or the end of a line, that has no opening one."""
    at = text.find(end)
    if at < 0 or start in text[:at]:
        return text
    begins_line = not text[:at].rpartition("\n")[2].strip()
    ends_line = not text[at + len(end) :].partition("\n")[0].strip()
    return text[at + len(end) :].lstrip() if begins_line or ends_line else text


def _without_blocks(text: str, start: str, end: str) -> str:
    kept, at = [], 0
    while (opened := text.find(start, at)) >= 0:
        if text[:opened].rpartition("\n")[2].strip():
            kept.append(text[at : opened + len(start)])
            at = opened + len(start)
            continue
        kept.append(text[at:opened])
        closed = text.find(end, opened + len(start))
        if closed < 0:
            return "".join(kept).rstrip()
        at = closed + len(end)
        at += len(text[at:]) - len(text[at:].lstrip())
    return "".join([*kept, text[at:]])
