"""Markup of chat templates and tokenizers, and how text from documents is made inert."""

import re

MARKUP = re.compile(
    r"<\|[^<>|\s]{1,40}\|>|<\uff5c[^<>\s]{1,40}\uff5c>|</?s>|<(?:bos|eos|pad|unk)>"
    r"|\[/?(?:INST|SYS)\]|<</?SYS>>|</?(?:start|end)_of_turn>|</?think>"
)


def inert(text: str) -> str:
    """Insert a word joiner (U+2060, invisible) into text that a chat template or tokenizer may read as markup.

    A document about chat templates stays readable, and cannot end its turn.
    """
    if "<" not in text and "[" not in text:
        return text
    return MARKUP.sub(lambda match: f"{match[0][0]}\u2060{match[0][1:]}", text)
