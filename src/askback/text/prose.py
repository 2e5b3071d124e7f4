"""The prose of a Markdown text: without its code and the marks of its layout."""

from askback.text.endings import MARK


def without_code(text: str) -> str:
    """Return the text without its blocks of code; a block that is not closed stays."""
    if "```" not in text:
        return text
    kept: list[str] = []
    code: list[str] = []
    fence = ""
    for line in text.split("\n"):
        before, fence = fence, fence_after(line, fence)
        if before or fence:
            code.append(line)
        if before and not fence:
            code = []
        if not code:
            kept.append("" if before else line)
    return "\n".join(kept + code)


def fence_after(line: str, fence: str) -> str:
    """Return the fence of the block of code that is open after a line, "" if none is; `fence` is the one open before it.

    A block ends at a line of its own fence alone, so that a longer one may hold shorter ones.
    """
    bare = line.lstrip(" >").rstrip()
    if fence:
        return "" if bare == fence else fence
    behind = bare.lstrip("`")
    return bare.removesuffix(behind) if bare.startswith("```") and "`" not in behind else ""


def plain_lines(text: str) -> list[str]:
    """Return the lines that hold words, without code and without the marks of lists, quotations and headers."""
    lines = (line[match.end() :] for line in without_code(text).split("\n") if (match := MARK.match(line)))
    return [line.rstrip() for line in lines if line.strip()]
