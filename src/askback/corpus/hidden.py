"""What a page does not show: hidden by an attribute, a style or a class of its own."""

import re
from functools import lru_cache

VOID = frozenset("area base br col embed hr img input link meta param source track wbr html body".split())
"""Elements that are never hidden: those without text, and the page itself."""

_CLASSES = frozenset(
    (
        "sr-only visually-hidden visuallyhidden visually-hidden-focusable screen-reader-text screen-reader screenreader "
        "screen-reader-only screenreader-only element-invisible element-hidden assistive-text a11y-hidden a11y-only "
        "cdk-visually-hidden accessibly-hidden offscreen off-screen clip-hide d-none display-none hidden is-hidden "
        "u-hidden invisible is-invisible hide nodisplay no-display dn uk-hidden pf-screen-reader govuk-visually-hidden "
        "usa-sr-only show-for-sr"
    ).split()
)
_HEADERS = {"h1", "h2", "h3", "h4", "h5", "h6"}
_SHOWN_CLASS = re.compile(
    r"(?:^|\s)(?:(?:xs|sm|md|lg|xl|2xl|xxl|tablet|laptop|desktop|mobile|print|group-\w+|hover|focus|js)[:-]\S|"
    r"d-(?:xs|sm|md|lg|xl|xxl|print)-(?!none)|visible-|show(?:\s|$)|wow|animated|reveal|fade|aos|lazy)"
)
"""Classes that show it after all: on a larger screen, or by an animation when it is scrolled to."""
_ANIMATED = re.compile(r"\sdata-(?:aos|w-id|framer|scroll|sal|reveal|anim)")
_HIDES = re.compile(r"none|hidden|collapse|opacity|font|-\d|clip|overflow|transform|color", re.IGNORECASE)
"""What a style that hides has somewhere; most have nothing of it."""
_COMMENT = re.compile(r"/\*[^*]{0,200}\*/")
_MOVES = ("transition", "animation", "animation-name", "will-change", "transform", "filter")
_NUMBER = re.compile(r"-?\d*\.?\d+")
_FAR = {"px": 500.0, "pt": 400.0, "em": 30.0, "rem": 30.0, "%": 100.0, "vw": 100.0, "vh": 100.0, "ex": 60.0, "ch": 60.0}
_SHIFT = re.compile(r"translate(?:x|y|3d)?\((-\d+)(?:px)?|scale(?:x|y|3d)?\(0(?:\.0+)?[,)]")
_HEX = re.compile(r"#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})\Z")
_RGB = re.compile(r"rgba?\((\d{1,3}),?(\d{1,3}),?(\d{1,3})(?:[,/]([\d.]{1,6})%?)?\)\Z")
_COLOURS = {"white": (255, 255, 255), "black": (0, 0, 0), "snow": (255, 250, 250), "ivory": (255, 255, 240)}
_ALIKE = 24
"""So near in all of red, green and blue, of 255, two colours look the same."""


def hidden(tag: str, marks: dict[str, str], attributes: str) -> str:
    """Return what hides an element: "hidden" (by itself, from all or from screen readers), "style" or "class"; "tiny" or
    "white", if that is so only of text that stands right in it or on no other ground; or "".

    Args:
        tag: its name.
        marks: its attributes `class`, `style`, `hidden` and `aria-hidden`.
        attributes: all of them, as they are serialised.
    """
    if marks.get("aria-hidden", "").lower() == "true" or marks.get("hidden", "until-found").lower() != "until-found":
        return "" if tag in VOID else "hidden"
    names = marks.get("class", "").lower()
    found = _unseen(marks["style"], bool(names)) if "style" in marks else ""
    if not found and (not names or tag in _HEADERS or _CLASSES.isdisjoint(names.split())):
        return ""
    if tag in VOID or _SHOWN_CLASS.search(names) or _ANIMATED.search(attributes):
        return ""
    return found or "class"


@lru_cache(maxsize=4096)
def _unseen(style: str, classed: bool) -> str:
    if not _HIDES.search(style):
        return ""
    given = dict[str, str]()
    for declaration in _COMMENT.sub("", "".join(style.lower().split())).split(";"):
        name, _, value = declaration.partition(":")
        given[name] = value.removesuffix("!important")
    if given.get("display") == "none" or given.get("visibility") in ("hidden", "collapse"):
        return "style"
    if given.get("content-visibility") == "hidden":
        return "style"
    if _number(given.get("opacity"), 1.0) < 0.05 and not any(name in given for name in _MOVES):
        return "style"
    if _off_screen(given) or _no_room(given):
        return "style"
    if (
        "font-size" in given
        and abs(_number(given["font-size"], 16.0)) <= 1
        and given["font-size"][-2:] not in ("em", "vw")
    ):
        return "tiny"
    return _by_colour(given, classed)


def _number(value: str | None, otherwise: float) -> float:
    found = _NUMBER.match(value or "")
    return float(found[0]) if found else otherwise


def _off_screen(given: dict[str, str]) -> bool:
    for name in ("left", "right", "top", "bottom", "text-indent", "margin-left", "margin-top", "margin"):
        value = given.get(name, "")
        if value.startswith("-") and (found := _NUMBER.match(value)):
            far = _FAR.get(re.split(r"[^a-z%]", value[found.end() :])[0], 500.0)
            if float(found[0]) <= -far * (2 if name.startswith("margin") else 1):
                return True
    found = _SHIFT.search(given.get("transform", ""))
    return bool(found and (found[1] is None or int(found[1]) <= -500))


def _no_room(given: dict[str, str]) -> bool:
    """Tell whether an element is clipped to nothing, or no larger than a point."""
    if re.match(r"rect\((?:0(?:px)?|1px)[, ]?(?:0|1)", given.get("clip", "")):
        return True
    if re.match(r"inset\((?:50|100)%|circle\(0|polygon\(0(?:px)?0", given.get("clip-path", "")):
        return True
    if given.get("overflow") not in ("hidden", "clip"):
        return False
    sizes = [_number(given.get(name), 16.0) for name in ("width", "height", "max-width", "max-height")]
    return 0 in sizes or sizes[:2] == [1, 1] or sizes[2:] == [1, 1]


def _by_colour(given: dict[str, str], classed: bool) -> str:
    """Text of the colour of its ground, or of none; white text, if nothing of it says what it stands on."""
    colour = _colour(given.get("color", ""))
    if colour is None:
        return ""
    if colour == ():
        return "" if "background-clip" in given or "-webkit-background-clip" in given else "style"
    ground = given.get("background-color", given.get("background"))
    if ground is None:
        if any(name.startswith("background") for name in given):
            return ""
        return "white" if not classed and min(colour) > 255 - _ALIKE // 2 and "text-shadow" not in given else ""
    other = _colour(ground)
    if not other:
        return ""
    return "style" if all(abs(one - two) <= _ALIKE for one, two in zip(colour, other, strict=True)) else ""


def _colour(value: str) -> tuple[int, ...] | None:
    """Return red, green and blue; () for what is transparent, None for what is not known."""
    if value == "transparent":
        return ()
    if found := _HEX.match(value):
        digits = "".join(2 * digit for digit in found[1]) if len(found[1]) < 6 else found[1]
        parts = tuple(int(digits[at : at + 2], 16) for at in range(0, len(digits), 2))
        return () if len(parts) == 4 and parts[3] < 13 else parts[:3]
    if found := _RGB.match(value):
        return (
            ()
            if found[4] and float(f"0{found[4]}" if found[4][0] == "." else found[4]) < 0.05
            else tuple(map(int, found.groups()[:3]))
        )
    return _COLOURS.get(value)
