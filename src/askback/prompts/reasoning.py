"""The reasoning that a model writes of itself before or within an answer, which is no part of the answer."""

import re

_NAMES = ("think", "thinking", "thought", "thoughts", "reasoning", "reflection", "seed:think")
FORMS = (
    *((f"<{name}>", f"</{name}>") for name in _NAMES),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)
"""What models in use open and close a reasoning with; a template may show others (rendering.py)."""
PAIRS = re.compile(r"<([A-Za-z][\w:.-]{0,40})>\s*</\1>|\[([A-Za-z]\w{0,40})\]\s*\[/\2\]")
"""An empty block, as templates write one for an answer without a reasoning."""


def without_reasoning(text: str, forms: tuple[tuple[str, str], ...] = FORMS) -> str:
    """Return an answer without the blocks of reasoning that begin a line of it.

    A block that is not closed goes on to the end: nothing of an answer was written yet. Where a block is closed that was
    never opened, as after a prompt that opens one, all before it is reasoning. A tag within a line is left: it is spoken
    of.
    """
    for start, end in forms:
        if start not in text and end not in text:
            continue
        text = _without_blocks(_after_closing(text, start, end), start, end)
    return text


def _after_closing(text: str, start: str, end: str) -> str:
    """Take off what ends with a closing tag, on a line of its own or before the end of one, that nothing has opened."""
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
