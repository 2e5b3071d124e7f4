"""The paper's recipe has the paper's settings, and its chat template is fit for training."""

from pathlib import Path

import pytest

from askback import prompts
from askback.engines.local.loading import load_tokenizer
from askback.prompts.prompt import ask
from askback.recipe import Backward, Recipe
from askback.recipe.file import load_recipe
from askback.records import Example, Provenance, exchange
from askback.train.training_rows import Schedule, schedule, tokenize
from tests.tiny import build_tiny_model
from tests.train.examples import asked_of, learnt_of

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe(ROOT / "recipes/paper.yaml").recipe


@pytest.mark.parametrize(("examples", "steps"), [(3200, 500), (6400, 600), (25600, 1200), (51200, 1600)])
def test_batch_and_steps_are_those_of_the_papers_table(recipe: Recipe, examples: int, steps: int) -> None:
    assert schedule(recipe.training, examples, examples // 2) == Schedule(32, steps)
    assert isinstance(recipe.backward, Backward)
    assert schedule(recipe.backward, examples) == Schedule(32, steps)


def test_a_few_pairs_less_keep_the_batch(recipe: Recipe) -> None:
    assert schedule(recipe.training, 2848).batch_size == 32


def test_it_has_what_the_paper_states_and_leaves_out_what_is_ours(recipe: Recipe) -> None:
    assert isinstance(recipe.backward, Backward)
    for training in (recipe.backward, recipe.training):
        assert (training.learning_rate, training.final_learning_rate) == (1e-5, 9e-6)
        assert (training.weight_decay, training.dropout, training.lora) == (0.1, 0.1, None)
    assert (recipe.augment.temperature, recipe.augment.top_p, recipe.augment.per_segment) == (0.7, 0.9, 1)
    assert set(recipe.augment.skip_rules) == {
        *("too-long", "template-leak", "an-answer", "echo", "dangling", "several-questions", "no-request", "language")
    }
    assert (recipe.rounds, recipe.score.scorers, recipe.score.reasoning) == (2, ["rubric"], True)
    assert not recipe.gate.enabled and not recipe.judge.check
    held_out = recipe.seed.held_out * (recipe.seed.sources[0].limit or 0)
    assert (recipe.seed.sources[0].limit or 0) - held_out == pytest.approx(3200, abs=1)


def test_the_template_is_fit_for_training(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(build_tiny_model(tmp_path), "builtin:inst")
    example = Example(
        "1", exchange("Say [INST] twice.", "Here: [/INST] and </s>."), Provenance(language="en"), "seed", "train"
    )
    row = tokenize(tokenizer, example, "forward", 512)
    assert row is not None
    assert learnt_of(row)[-1] == tokenizer.eos_token_id
    asked = tokenizer.decode(asked_of(row))
    assert asked.startswith(f"{tokenizer.bos_token}[INST] Say") and asked.endswith("[/INST]")
    assert asked.count("[INST]") == 1, "text cannot open a turn of its own"
    assert "[/INST]" not in tokenizer.decode(learnt_of(row))
    assert asked_of(row) == prompts.render(tokenizer, prompts.forward(ask(example.instruction).turns, "seed"))
