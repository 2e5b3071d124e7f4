"""Grounded or dropped: rewrites that a rule drops, by that rule, and rewrites that all rules pass."""

import pytest

from askback.recipe import Grounding
from askback.rewrite.amounts import amounts, dates
from askback.rewrite.rules import RULES, fault

SOURCE = """\
The Hoover Dam was built between 1931 and 1936 by Six Companies, Inc., under chief engineer Frank Crowe. It cost $49 \
million and holds back Lake Mead, the largest reservoir in the United States by volume. About 21,000 people worked on \
the dam; 96 died. On September 30, 1935, President Franklin Roosevelt dedicated it, saying "I came, I saw and I was \
conquered." The dam is 726 feet high and 45 feet thick at its top, and it generates 4.2 billion kilowatt-hours a year, \
56 percent of which goes to Southern California. Élodie Mead headed the bureau. More at \
https://www.usbr.gov/lc/hooverdam/. Use the function `get_level()` of dam_tools to read the level; the option --since \
gives the first day. Half of the water goes to farms. Visitors may come at 9:00 a.m. on weekdays. Tickets are €12,50. Half \
a pint is 2½ glasses.

- Take water.
- Take a hat.
- Do not climb.
"""
FAITHFUL = (
    SOURCE,
    "The Hoover Dam was built between 1931 and 1936 by Six Companies, Inc., with Frank Crowe as chief engineer. It cost 49 "
    "million dollars, and about 21 000 people worked on it, of whom 96 died.",
    "However, the dam cost USD 49 million. Fifty-six per cent of the 4.2 billion kilowatt-hours it generates a year goes "
    "to Southern California. 50% of the water goes to farms.",
    "**Key Facts About the Hoover Dam**\n\n1. The dam is 726 feet high and 45 feet thick at its top.\n2. It holds back "
    "Lake Mead, the largest reservoir in the US by volume.\n3. President Roosevelt dedicated it on 30 September 1935.",
    "It was dedicated in September 1935. Roosevelt said: “I came, I saw and I was conquered.” Elodie Mead headed the "
    "bureau.",
    "To read the level of the dam, use the function `get_level()` of `dam_tools`. The option --since gives the first day. "
    "More at https://www.usbr.gov/lc/hooverdam.",
    "There are three things to keep in mind when you visit the dam: take water, take a hat, and do not climb. Visitors may "
    "come at 9 am on weekdays, and tickets are 12.50 euros.",
    "First, take water. Second, take a hat. Third, do not climb. The Hoover Dam holds back Lake Mead, and it is 726 feet "
    "high. Half a pint is 2.5 glasses.",
    "Construction of the Hoover Dam took place between 1931 and 1936, and Six Companies, Inc. built it under chief "
    "engineer Frank Crowe. Tourists can find the reservoir, Lake Mead, behind the dam.",
)
AGAINST = (
    ("numbers", "The Hoover Dam cost $59 million, and about 21,000 people worked on the dam; 96 died."),
    ("numbers", "The Hoover Dam cost €49 million, and about 21,000 people worked on the dam; 96 died."),
    (
        "numbers",
        "The dam is 726 feet high and 54 feet thick at its top; it generates 4.2 billion kilowatt-hours a year.",
    ),
    (
        "numbers",
        "About 21,000 people worked on the dam; ninety-eight died. It holds back Lake Mead, the largest reservoir.",
    ),
    ("numbers", "It generates 4.2 billion kilowatt-hours a year, 65 % of which goes to Southern California."),
    ("numbers", "It generates 4.2 million kilowatt-hours a year, 56 % of which goes to Southern California."),
    (
        "names",
        "The Hoover Dam was built between 1931 and 1936 under chief engineer Walter Smith, by Six Companies, Inc.",
    ),
    ("names", "- Chief Engineer: he was called Walter, and about 21,000 people worked on the dam; 96 died."),
    ("names", "Johnson headed the bureau. About 21,000 people worked on the dam; 96 died."),
    ("names", "Élodie Crowe headed the bureau. About 21,000 people worked on the dam; 96 died."),
    ("names", "The Hoover Dam holds back Lake Mead, the largest reservoir in the UK by volume. 96 people died."),
    ("dates", "On October 30, 1935, President Franklin Roosevelt dedicated the dam, which holds back Lake Mead."),
    ("dates", "On September 30, 1936, President Franklin Roosevelt dedicated the dam, which holds back Lake Mead."),
    ("dates", "Visitors may come at 10:00 a.m. on weekdays. The dam holds back Lake Mead, the largest reservoir."),
    ("dates", "Visitors may come at 9:00 a.m. on Mondays. The dam holds back Lake Mead, the largest reservoir."),
    ("urls", "The dam holds back Lake Mead, the largest reservoir. More at https://www.usbr.gov/lc/hoover/."),
    ("urls", "The dam holds back Lake Mead, the largest reservoir. Write to dam@usbr.gov."),
    ("quotations", 'President Franklin Roosevelt dedicated it, saying "I came, I saw and I conquered."'),
    ("quotations", "President Franklin Roosevelt dedicated it, saying ‘I was conquered by it’."),
    ("code", "Use the function `read_level()` of dam_tools to read the level; the option --since gives the first day."),
    ("code", "Use the function `get_level()` of dam_tools to read the level; the option --until gives the first day."),
    ("refusal", "I'm sorry, but I cannot help with that."),
    ("refusal", "Here is the rewritten answer: the Hoover Dam was built between 1931 and 1936 by Six Companies, Inc."),
    ("cut-off", "The Hoover Dam was built between 1931 and 1936 by Six Companies, Inc., under chief"),
    ("cut-off", "Use the function `get_level()` of dam_tools to read the level.\n\n```\nget_level()\n"),
    (
        "sentence",
        "The Hoover Dam was built between 1931 and 1936 by Six Companies, Inc., under chief engineer Frank Crowe. It cost "
        "$49 million and holds back Lake Mead. Friends often photograph sunsets while enjoying delicious ice cream beside "
        "beautiful fountains.",
    ),
    ("negation", "The Hoover Dam holds back Lake Mead and is 726 feet high. Do climb."),
    ("negation", "Don't take water. The dam is 726 feet high and 45 feet thick at its top."),
    ("copied", "Walls of big concrete stop water. Farms get half. Level is read by function. Engineer was chief."),
    ("coverage", "The dam is 726 feet high, and concrete engineering wonders amaze. Cold air cracks stone slowly."),
)


@pytest.mark.parametrize("rewrite", FAITHFUL)
def test_a_faithful_rewrite_passes(rewrite: str) -> None:
    assert fault(rewrite, SOURCE, Grounding(), "en") is None


@pytest.mark.parametrize(("rule", "rewrite"), AGAINST)
def test_a_rule_drops_what_the_source_does_not_say(rule: str, rewrite: str) -> None:
    found = fault(rewrite, SOURCE, Grounding(), "en")
    assert found is not None and found[0] == rule, found


def test_every_rule_drops_something_and_can_be_skipped() -> None:
    assert {rule for rule, _ in AGAINST} == set(RULES)
    rule, rewrite = AGAINST[0]
    assert fault(rewrite, SOURCE, Grounding(skip_rules=[rule]), "en") is None  # type: ignore[list-item]


def test_bounds_are_the_recipes() -> None:
    copy = fault(SOURCE, SOURCE, Grounding(max_copied=0.98), "en")
    assert copy is not None and copy[0] == "copied" and copy[1].startswith("1.00 of the words")


def test_nouns_are_no_names_where_all_are_capitalised() -> None:
    source = "Die Brücke führt über den alten Fluss und wurde von der Stadt nach dem Krieg neu gebaut."
    rewrite = "Nach dem Krieg wurde die Brücke über den alten Fluss von der Stadt neu gebaut, als Bauwerk."
    assert fault(rewrite, source, Grounding(), "de") is None
    assert fault(rewrite, source, Grounding(), "en") == ("names", "not in the source: 'Bauwerk'")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,000", {1000, 1}),
        ("1.000,5", {1000.5}),
        ("1 000", {1000}),
        ("3,5", {3.5}),
        ("½", {0.5}),
        ("2½", {2.5}),
        ("2 1/2", {2.5}),
        ("two thirds", {2 / 3}),
        ("half", {0.5}),
        ("twenty-first", {21}),
        ("21st", {21}),
        ("a dozen", {12}),
        ("two hundred and fifty-one", {251}),
        ("three million two thousand", {3_002_000}),
        ("5.5 billion", {5.5e9}),
        ("10k", {10_000, 10}),
        ("2.1.3", {"2.1.3"}),
    ],
)
def test_numbers_by_their_values(text: str, values: set[object]) -> None:
    (found,) = amounts(text)
    assert {one if isinstance(one, str) else float(one) for one in found.values} == values
    assert found.said == text


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("5 %", "percent"),
        ("five per cent", "percent"),
        ("US$5", "usd"),
        ("5 dollars", "usd"),
        ("£5", "gbp"),
        ("5 km", ""),
    ],
)
def test_units(text: str, unit: str) -> None:
    (found,) = amounts(text)
    assert found.unit == unit


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("March 5, 2020", "5th of March 2020", True),
        ("2020-03-05", "5 Mar. 2020", True),
        ("05/03/2020", "March 5, 2020", True),
        ("05/03/2020", "May 3, 2020", True),
        ("05/03/2020", "May 4, 2020", False),
        ("5 pm", "17:00", True),
        ("5 am", "17:00", False),
        ("on Monday", "Mondays", True),
        ("in May", "May 2020", False),
    ],
)
def test_dates_by_their_fields(one: str, other: str, same: bool) -> None:
    (first,), (second,) = dates(one), dates(other)
    assert bool(set(first.readings) & set(second.readings)) == same


def test_a_modal_verb_is_no_month() -> None:
    assert not dates("You may march on. May I? They march in line.")
