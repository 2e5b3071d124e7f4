"""Damaged documents: how many, of what kinds, and the same every time."""

from askback.prompts import NO_INSTRUCTION
from askback.records import Example, Provenance, exchange
from askback.train.abstention import DAMAGES, MIN_WORDS, refusals


def example(number: int, words: int = 100) -> Example:
    text = " ".join(f"word{number}x{at}" for at in range(words))
    return Example(f"e{number}", exchange(f"Ask {number}?", text), Provenance("u", "s", language="en"), "seed", "train")


EXAMPLES = [example(n) for n in range(80)]


def test_so_many_as_asked_for_each_with_the_one_answer() -> None:
    found = refusals(EXAMPLES, 0.1, 0)
    assert len(found) == 8 and {one.instruction for one in found} == {NO_INSTRUCTION}
    assert not {one.id for one in found} & {one.id for one in EXAMPLES}
    assert len(refusals(EXAMPLES, 0.11, 0)) == 9 and refusals(EXAMPLES, 0.0, 0) == []
    assert all(one.output not in {sound.output for sound in EXAMPLES} and one.output.strip() for one in found)


def test_the_order_of_the_examples_is_of_no_account_and_the_seed_is() -> None:
    assert refusals(EXAMPLES[::-1], 0.1, 0) == refusals(EXAMPLES, 0.1, 0) != refusals(EXAMPLES, 0.1, 1)


def test_short_outputs_are_not_damaged() -> None:
    short = [example(n, MIN_WORDS - 1) for n in range(10)]
    assert refusals(short, 0.5, 0) == []
    assert len(refusals([*short, example(10, MIN_WORDS)], 0.5, 0)) == 1


def test_the_kinds_of_damage() -> None:
    words = EXAMPLES[0].output.split()
    fragment, shuffled, links, furniture = (damage(words, 0, "e0") for damage in DAMAGES)
    assert EXAMPLES[0].output.find(fragment) > 0 and len(fragment.split()) == 5
    assert sorted(shuffled.split()) == sorted(words) and shuffled.split() != words
    assert all(line.startswith("- ") and len(line.split()) == 4 for line in links.splitlines())
    assert all(line.count(" | ") == 6 for line in furniture.splitlines()) and "Menu" in furniture
