"""The prose of a Markdown text: without its code and the marks of its layout."""

from askback.text.endings import MARK


def without_code(text: str) -> str:
    """Return the text without its blocks of code; a block that is not closed stays."""
    if "```" not in text:
        return text
    kept: list[str] = []
    code: list[str] = []
    ticks = ""
    for line in text.split("\n"):
        bare = line.lstrip(" >")
        if code:
            code.append(line)
            if bare.rstrip(" \t") == ticks:
                code = []
                kept.append("")
        elif bare.startswith("```"):
            ticks = bare[: len(bare) - len(bare.lstrip("`"))]
            code = [line]
        else:
            kept.append(line)
    return "\n".join(kept + code)


def plain_lines(text: str) -> list[str]:
    """Return the lines that hold words, without code and without the marks of lists, quotations and headers."""
    lines = (line[match.end() :] for line in without_code(text).split("\n") if (match := MARK.match(line)))
    return [line.rstrip() for line in lines if line.strip()]
