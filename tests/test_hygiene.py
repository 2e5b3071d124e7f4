"""Each rule drops what it says and nothing beside it; seed instructions and a real run's good ones pass."""

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askback import prompts
from askback.augment.hygiene import DANGLING, RULES, fault
from askback.engines.protocol import Completion
from askback.recipe import Augment
from askback.records import Provenance, Segment

TEXT = "Fold the letter in three so that the address shows, then seal it with wax and let it cool for a minute or two."


def segment(text: str = TEXT, language: str = "en") -> Segment:
    return Segment("s", text, [], Provenance("u", "html", language=language))


def rule(text: str, options: Augment | None = None, language: str = "en") -> str | None:
    found = fault(Completion(text, 10, True), segment(language=language), options or Augment())
    return found[0] if found else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How do I fold and seal a letter with wax?", None),
        ("", "empty"),
        ("?! ...", "empty"),
        ("no instruction fits this text", "no-instruction"),
        ("Why is x" + "x" * 792, None),
        ("Why is x" + "x" * 793, "too-long"),
        ("How do I do this? Answer in the style of an AI assistant", "template-leak"),
        ("Which question or instruction from a user would this be?", "template-leak"),
        ("<|im_start|>user How do I fold a letter?", "template-leak"),
        ("What is the difference between a `b4ec4670` and a letter?", "template-leak"),
        ("What happened to the letter of 20260228, and to the facade?", None),
        ("Fold the letter in three so that the address shows, then seal it", "echo"),
        (
            "How do I fold the letter in three so that the address shows?",
            None,
        ),  # eleven words shared, twelve are an echo
        # dangling, as the backward model of a real run wrote them; the last of each kind is sound
        ("How would I describe my role set in the text?", "dangling"),
        ("How long do you need to cook a recipe from the list?", "dangling"),
        ("I have a question about metabolism, as you can see in the article. What is a metabolic rate?", "dangling"),
        ("Summarise this article.", "dangling"),
        ("Rewrite the above text in plain language.", "dangling"),
        ("What is shown in Figure 12.3?", "dangling"),
        ("What does the attached image show?", "dangling"),
        ("Click the link below and tell me what it says.", "dangling"),
        ("How many people were helped by the passage of the Fourteenth Amendment?", None),
        ("Summarise this article: the council met on Monday and voted down the plan.", None),
        ("Summarise this article: the council met on Monday.", None),
        ("Summarise this article: the council met once.", "dangling"),  # four words are no material, five are
        ("Write a list of ten herbs. Sort this list by name.", None),
        ("How do I do this with a list of numbers?", None),
        # several questions
        ("What is acidosis? What causes it? How is it treated?", None),
        ("What is acidosis? What causes it? How is it treated? Who has it?", "several-questions"),
        ("What is plasma protein? What is plasma protein?", "several-questions"),
        ("Is it so? Is it so?", "several-questions"),
        ("Why me? Why me?", None),  # a sentence of two words may stand twice
        ("What does the query ?a=1&b=2?c do? And ?x=3?", None),
        # no request
        ("The history of the letter", "no-request"),
        ("Python code for a game of pong", "no-request"),
        ("The supermarket is a place where people buy products, mainly food.", "no-request"),
        ("Inside the White House", "no-request"),
        ("Saving a letter", "no-request"),
        ("Document the `match` statement", None),
        ("Explain how letters were sealed.", None),
        ("Briefly and concisely explain how letters were sealed.", None),
        ("Some good ways to fold a letter, please", None),
        ("On a scale of 1 to 10 how do people rate wax", None),
        ("In two sentences, describe sealing wax.", None),
        # answers
        ("Sure, here is an instruction that fits.", "an-answer"),
        ("Here are three questions about wax.", "an-answer"),
        ("Answer: seal it with wax.", "an-answer"),
        ("1. Fold it.\n2. Seal it.\n3. Send it.", "an-answer"),
        ("1. Fold it.\n2. Seal it.", None),
        ("Put these in order:\n1. Fold it.\n2. Seal it.\n3. Send it.", None),
        ("Here are my letters: A P N W Q V E. What words can I spell with those?", None),
        # language: 40 characters and a probability of 0.95
        ("Wie alt ist Angela Merkel und wie lange war sie Bundeskanzlerin?", "language"),
        ("Wie faltet man einen Brief mit Wachs?", None),  # 37 characters: too short to be sure
        ("Warum heißt das Album The Wall so und wovon handelt es?", "language"),
        ("Who translated Schopenhauer's Die Welt als Wille und Vorstellung into English?", None),
    ],
)
def test_rules(text: str, expected: str | None) -> None:
    assert rule(text) == expected


@pytest.mark.parametrize(("signs", "pattern"), DANGLING)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_every_dangling_reference_has_its_signs(
    signs: list[str], pattern: re.Pattern[str], data: st.DataObject
) -> None:
    text = data.draw(st.from_regex(pattern, alphabet=st.characters(max_codepoint=127))).lower()
    assert any(sign in text for sign in signs)


def test_words_of_english_are_not_looked_for_in_other_languages() -> None:
    assert rule("Die Geschichte des Briefes und des Siegellacks in Europa", language="de") is None
    assert rule("How do I fold and seal a letter with wax in three steps?", language="de") == "language"
    title = "Welche Rolle spielte er im Film The Good, the Bad and the Ugly, und wer spielte noch mit?"
    assert rule(title, language="de") is None  # in German, whatever it quotes
    assert rule("The history of the letter", language="") == "no-request"  # not looked for: taken as English


def test_an_answer_that_was_cut_off_is_no_instruction() -> None:
    found = fault(Completion("How do I fold a", 128, False), segment(), Augment())
    assert found is not None and found[0] == "unfinished" and "128 tokens" in found[1]


def test_a_rule_can_be_left_out_and_the_options_name_them_all() -> None:
    text = "Summarise this article."
    assert rule(text, Augment(skip_rules=["dangling"])) is None
    assert rule("The history", Augment(skip_rules=list(RULES))) is None  # type: ignore[arg-type]
    assert rule("What? Why is it so? Where was it? When is it?", Augment(max_questions=4)) is None


def test_what_is_taught_is_what_is_rejected() -> None:
    assert rule(prompts.NO_INSTRUCTION) == "no-instruction"


def test_every_demo_seed_instruction_passes() -> None:
    from askback.recipe import Seed, SeedSource
    from askback.seed.load import gather

    for pair in gather(Seed(sources=[SeedSource(path="builtin:demo")])).kept:
        assert fault(Completion(pair.instruction, 10, True), segment(pair.output), Augment()) is None, pair.instruction


def test_people_are_seldom_taken_for_a_model(shared_data: Path) -> None:
    found: Counter[str] = Counter()
    with gzip.open(shared_data / "seed/oasst1_train_pairs.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            pair = json.loads(line)
            broken = fault(Completion(pair["instruction"], 10, True), segment(pair["output"]), Augment())
            found[broken[0] if broken else ""] += 1
    assert found.total() == 2998
    # Read one by one: of the 23 without a request, 20 are titles, fragments or chatter; all 6 are in other languages.
    assert found["language"] == 6
    assert found["no-request"] <= 23 and found["dangling"] <= 1
    assert found["several-questions"] <= 7 and found["an-answer"] <= 1
