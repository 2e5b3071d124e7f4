"""Small examples to train on."""

from askback.records import Example, Lesson, Origin, Provenance, Split, exchange
from askback.train.training_rows import Row


def example(number: int, *, origin: Origin = "seed", split: Split = "train", words: int = 0) -> Example:
    """An example whose output is `words` words long, by default 5 to 40 of them."""
    count = words or 5 + number * 7 % 36
    output = " ".join(f"it carries {number} boats past the bridge".split()[at % 7] for at in range(count))
    return Example(
        f"example-{number}",
        exchange(f"Tell me what number {number} does.", output),
        Provenance(source="test", language="en"),
        origin,
        split,
    )


def examples(count: int) -> list[Example]:
    """`count` examples, every third of them augmented."""
    return [example(number, origin="augmented" if number % 3 == 0 else "seed") for number in range(count)]


def lesson(one: Example, score: float) -> Lesson:
    """An example as a lesson of the judge."""
    return Lesson(one.id, one.messages, one.provenance, score)


def asked_of(row: Row) -> list[int]:
    """The tokens of a row up to the first that is learnt."""
    return row.ids[: row.learnt.index(True)]


def learnt_of(row: Row) -> list[int]:
    """The tokens of a row that are learnt."""
    return [id for id, learnt in zip(row.ids, row.learnt, strict=True) if learnt]
