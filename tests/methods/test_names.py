"""The names of steps: every step of the page is known by its kind, and no other file writes one."""

import re
from pathlib import Path

import pytest

from askback.methods import names
from askback.methods.back_and_forth import back_and_forth
from askback.recipe import Engines
from tests.methods.test_humpback import Names, recipe, walked

SOURCE = Path(__file__).parents[2] / "src/askback"
WRITTEN = re.compile(r"""["'](?:(?:select|score|check|probe)-|loss-["'mb]|dedup["']|m0["'](?!\))|m\{)""")
"""What begins the name of a step, in a string of its own or at the beginning of one."""


def test_every_step_of_the_page_has_its_round_and_role() -> None:
    page = walked(recipe(), Engines())[0]
    made = list(page.made)
    assert {names.SEED, *names.CORPUS_STEPS, names.CANDIDATES, names.RESULT} <= set(made)
    for name in (names.check, names.judgements, names.choice, names.model):
        assert names.rounds(name, made) == [1, 2]
    assert names.measured(made) == [names.BASE, *map(names.model, range(3))]
    assert {names.round_of(step) for step in made if step not in ("m0", "loss-m0")} == {0, 1, 2}
    rewriting = Names(Engines())
    back_and_forth(recipe(method="back_and_forth"), rewriting)
    asked = {one.engine for walk in (page, rewriting) for one in walk.functions.values()}
    assert asked - {""} == set(names.ROLES) and {names.REWRITTEN, names.GROUNDED} <= set(rewriting.made)


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_other_file_writes_the_name_of_a_step(path: Path) -> None:
    if path.parent.name != "methods":
        found = [line for line in path.read_text("utf-8").splitlines() if WRITTEN.search(line) and '"""' not in line]
        assert not found, found
