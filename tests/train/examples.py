"""Small examples to train on."""

from askback.records import Example


def example(number: int, *, origin: str = "seed", split: str = "train", words: int = 0) -> Example:
    """An example whose output is `words` words long, by default 5 to 40 of them."""
    count = words or 5 + number * 7 % 36
    return Example(
        id=f"example-{number}",
        instruction=f"Tell me what number {number} does.",
        output=" ".join(f"it carries {number} boats past the bridge".split()[at % 7] for at in range(count)),
        origin=origin,
        split=split,
        uri="",
        source="test",
        licence="",
        language="en",
    )


def examples(count: int) -> list[Example]:
    """`count` examples, every third of them augmented."""
    return [example(number, origin="augmented" if number % 3 == 0 else "seed") for number in range(count)]
