"""The plan tries the recipe's own pairs through the chat template, and refuses what a run would."""

import re
from pathlib import Path

import pytest

from askback.errors import InputError
from askback.plan import Plan
from askback.recipe.file import load_recipe
from tests.test_smoke_run import write_inputs
from tests.tiny import CHATML

LESSONS = ["recipe.judge.examples=contrast"]
ANSWER = "message['content'] | replace({}) if message.role == 'assistant' else message['content']"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


def planned(recipe: Path, template: str, changes: list[str]) -> Plan:
    (recipe.parent / "mine.jinja").write_text(template)
    return Plan(load_recipe(recipe, [f"recipe.chat_template={recipe.parent / 'mine.jinja'}", *changes]))


@pytest.mark.parametrize(
    ("name", "template", "changes"),
    [
        ("outputs", CHATML.replace("message['content']", ANSWER.format("'River', 'Lake'")), []),
        (
            "instructions, learnt in reverse",
            CHATML.replace("message['content']", ANSWER.format("'How about', 'Why'")),
            [],
        ),
        ("lessons", CHATML.replace("message['content']", ANSWER.format("'Score: 4', 'four'")), LESSONS),
        ("every answer", CHATML.replace("message['content']", "message['content'] | lower"), []),
        ("without end", "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}", LESSONS),
        ("no stop token", CHATML.replace("<|im_end|>", "</end>"), []),
        ("no such tag", "{% nothing %}", []),
    ],
)
def test_what_a_run_would_refuse_is_refused(recipe: Path, name: str, template: str, changes: list[str]) -> None:
    (refusal,) = planned(recipe, template, changes).refusals.found
    assert isinstance(refusal, InputError)
    assert re.search(r"mine\.jinja: the chat template .*give another with chat_template:", str(refusal))
    assert "\n" not in str(refusal)


def test_a_template_that_writes_an_empty_block_before_an_answer_is_taken(recipe: Path) -> None:
    block = "{{ '<think>\n\n</think>\n\n' if message.role == 'assistant' }}{{ message['content'] }}"
    found = planned(recipe, CHATML.replace("{{ message['content'] }}", block), LESSONS)
    assert {step.name: step.state for step in found.steps}["m0"] == "to do"
