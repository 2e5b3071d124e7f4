"""Rows in every form, with one of them damaged at random: the others are read, and nothing is raised."""

import io
import json
import os
import random
import string
from typing import Any

from askback.inputs.json_rows import rows_of
from askback.inputs.json_values import BrokenRow

ROUNDS = round(1500 * float(os.environ.get("ASKBACK_FUZZ", "1")))
LETTERS = string.ascii_letters + '"\\{}[],: \n\té漢🙂'


def value(chance: random.Random, depth: int = 0) -> Any:
    choice = chance.randrange(7 if depth < 3 else 5)
    if choice == 5:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if choice == 6:
        return {f"k{n}": value(chance, depth + 1) for n in range(chance.randrange(4))}
    text = "".join(chance.choices(LETTERS, k=chance.randrange(30)))
    return [None, True, chance.randrange(-9, 9**9), chance.random(), text][choice]


def written(chance: random.Random, rows: list[str]) -> str:
    gap = chance.choice([", ", ",\n", "\n,", " ,\n\n "])
    form = chance.randrange(4)
    if form == 0:
        return "\n".join(rows) + chance.choice(["", "\n"])
    array = chance.choice(["[", "[\n"]) + gap.join(rows) + chance.choice(["]", "\n]\n"])
    return array if form < 3 else f'{{"v": 1, "data": {array}}}'


def dumped(chance: random.Random, row: dict[str, Any], indent: int | None) -> str:
    return json.dumps(row, indent=indent, ensure_ascii=chance.random() < 0.5)


def test_sound_rows_are_read_in_every_form() -> None:
    chance = random.Random(1)
    for _ in range(ROUNDS):
        rows = [{"n": n, "v": value(chance)} for n in range(chance.randrange(1, 6))]
        text = written(chance, [dumped(chance, row, None) for row in rows])
        if chance.random() < 0.3 and not text.startswith("{"):
            text = json.dumps(rows, indent=chance.choice([0, 1, 4]))
        data = text.encode(chance.choice(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
        assert [row for _, row in rows_of(io.BytesIO(data), 10**6)] == rows, text


def test_damage_raises_nothing_and_a_damaged_line_costs_one_row() -> None:
    chance = random.Random(2)
    for _ in range(ROUNDS):
        rows = [dumped(chance, {"n": n, "v": value(chance)}, None) for n in range(5)]
        hit = chance.randrange(5)
        at = chance.randrange(1, len(rows[hit]))
        added = "".join(chance.choices(LETTERS.replace("\n", ""), k=chance.randrange(3)))
        rows[hit] = rows[hit][:at] + added + rows[hit][at + chance.randrange(3) :]
        lines = list(rows_of(io.BytesIO("\n".join(rows).encode()), 10**6))
        assert len(lines) == 5
        others = [row for n, (_, row) in enumerate(lines) if n != hit and not isinstance(row, BrokenRow)]
        assert [row.get("n") for row in others][-3:] == [n for n in range(5) if n != hit][-3:]
        text = written(chance, rows)
        found = list(rows_of(io.BytesIO(text.encode("utf-8", "replace")), 10**6))
        assert found and len({place for place, _ in found}) == len(found)
        list(rows_of(io.BytesIO(text.encode()[: chance.randrange(len(text))]), 10**6))
