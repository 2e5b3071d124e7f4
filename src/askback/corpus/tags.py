"""What each tag does to the walk over a page."""

from askback.corpus.boilerplate import AROUND, INSTEAD, UNREAD
from askback.corpus.inline import BREAK
from askback.corpus.layout import Container
from askback.corpus.walk import BOUNDARY, HEADERS, Action, Walk

_BOUNDARIES = [
    *("address", "caption", "center", "details", "div", "dt", "fieldset", "figure", "form", "header"),
    *("hgroup", "hr", "legend", "p", "summary", "tbody", "tfoot", "thead", "tr", "option", "optgroup", "search"),
    *("aside", "button", "dialog", *HEADERS),
]

ACTIONS: dict[str | None, Action] = {
    **{mark + name: BOUNDARY for name in _BOUNDARIES for mark in ("", "/")},
    **dict.fromkeys(UNREAD, Walk.skip),
    **dict.fromkeys(INSTEAD, Walk.skip_instead),
    **dict.fromkeys(HEADERS, Walk.header),
    **dict.fromkeys(("main", "article", "section"), Walk.enter),
    **dict.fromkeys(("/main", "/article", "/section"), Walk.leave),
    **dict.fromkeys(("ul", "ol", "dl", "menu", "dir"), Walk.open_list),
    **dict.fromkeys(("/ul", "/ol", "/dl", "/menu", "/dir", "/li", "/dd", "/blockquote"), Walk.close_container),
    "li": Walk.open_item,
    "dd": lambda walk, _: walk.open_container(Container("dd", ": ", "  ", pending=True)),
    "blockquote": lambda walk, _: walk.open_container(Container("blockquote", "> ", "> ")),
    "header": Walk.skip_page_header,
    "aside": Walk.skip_aside,
    "form": Walk.skip_form,
    "figcaption": Walk.skip_caption,
    "/figcaption": BOUNDARY,
    **dict.fromkeys(AROUND, Walk.skip_around),
    **dict.fromkeys(("button", "dialog"), Walk.skip_button),
    "pre": Walk.code_block,
    "math": Walk.formula,
    "table": Walk.open_table,
    "/table": Walk.close_table,
    "tr": Walk.open_row,
    **dict.fromkeys(("td", "th"), Walk.open_cell),
    **dict.fromkeys(("/td", "/th"), Walk.close_cell),
    "/caption": Walk.close_caption,
    "br": lambda walk, _: walk.line.pieces.append(BREAK),
    **dict.fromkeys(("code", "kbd", "samp", "tt", "sup", "sub", "span"), Walk.open_inline),
    **dict.fromkeys(("/code", "/kbd", "/samp", "/tt", "/span"), lambda walk, _: walk.line.close_code()),
    "/sup": lambda walk, _: walk.line.close_superscript(),
    "/sub": lambda walk, _: walk.line.close_subscript(),
    "a": lambda walk, _: walk.line.open_link(),
    "/a": Walk.close_link,
    "q": lambda walk, _: walk.line.pieces.append("“"),
    "/q": lambda walk, _: walk.line.pieces.append("”"),
}
"""Tag → what it does. A tag that is not here changes nothing, and its text is text."""
