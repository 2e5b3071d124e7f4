"""Training the upper layers alone: they learn as they do when all are trained, and nothing else moves."""

from pathlib import Path
from typing import Any

import pytest

from askback.errors import RecipeError
from askback.recipe import Training
from askback.train import Job, finetune
from askback.train.frozen import freeze_below
from tests.train.examples import examples

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

UPPER = ("model.layers.1.", "model.norm.")


def loaded(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def gradients(model: Any) -> dict[str, Any]:
    ids = torch.arange(3, 40).unsqueeze(0)
    model(input_ids=ids, labels=ids).loss.backward()
    return {name: part.grad for name, part in model.named_parameters() if part.grad is not None}


def test_the_upper_layers_have_the_gradients_of_a_whole_training(tiny_model: Path) -> None:
    model = loaded(tiny_model)
    freeze_below(model, 1)
    alone, whole = gradients(model), gradients(loaded(tiny_model))
    assert set(alone) == {name for name in whole if name.startswith(UPPER)} and len(alone) > 2
    for name, found in alone.items():
        assert torch.equal(found, whole[name]), name


def test_only_the_upper_layers_and_the_norm_after_them_are_changed(tiny_model: Path, tmp_path: Path) -> None:
    options = Training(steps=3, batch_size=4, learning_rate=1e-2, trained_layers=1, trl={"bf16": False})
    finetune(Job(str(tiny_model), "", "forward", options, examples(8), str(tmp_path / "m0"), 7), lambda *_: None)
    before, after = loaded(tiny_model).state_dict(), loaded(tmp_path / "m0/model").state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if name.startswith(UPPER)}


def test_more_layers_than_there_are_is_an_error(tiny_model: Path) -> None:
    with pytest.raises(RecipeError, match="trained_layers 3: the model has 2 layers"):
        freeze_below(loaded(tiny_model), 3)
