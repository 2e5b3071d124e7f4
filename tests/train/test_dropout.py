"""Dropout is where the architecture has it, in training alone, and is no part of the model that comes out."""

import json
from pathlib import Path

import pytest

from askback.errors import RecipeError
from askback.recipe import Training
from askback.train.dropout import dropout_of, with_dropout
from askback.train.finetune import finetune
from tests.train.test_finetune import ignore, job_of, lines_of, sha256


def test_fields_are_those_that_the_architecture_has(tmp_path: Path, tiny_model: Path) -> None:
    from transformers import BertConfig, GPT2Config, MistralConfig, Qwen2Config

    assert dropout_of(tiny_model) == {"attention_dropout": 0.0}
    for config, names in (
        (GPT2Config(), {"attn_pdrop", "resid_pdrop", "embd_pdrop"}),
        (MistralConfig(), {"attention_dropout"}),
        (Qwen2Config(), {"attention_dropout"}),
        (BertConfig(), {"attention_probs_dropout_prob", "hidden_dropout_prob"}),
    ):
        folder = tmp_path / config.model_type
        config.save_pretrained(folder)
        assert with_dropout(folder, 0.3) == dict.fromkeys(names, 0.3)


def test_an_architecture_without_any_is_refused(tmp_path: Path) -> None:
    from transformers import MambaConfig

    MambaConfig().save_pretrained(tmp_path)
    with pytest.raises(RecipeError, match=r"has no dropout; leave it at 0"):
        with_dropout(tmp_path, 0.1)


def test_training_with_it_differs_and_the_model_is_as_without(tiny_model: Path, tmp_path: Path) -> None:
    plain = job_of(tiny_model, tmp_path / "plain", options=Training(steps=6, batch_size=2))
    dropping = job_of(tiny_model, tmp_path / "dropping", options=Training(steps=6, batch_size=2, dropout=0.4))
    finetune(plain, ignore)
    finetune(dropping, ignore)
    assert sha256(tmp_path / "plain") != sha256(tmp_path / "dropping")
    assert lines_of(tmp_path / "plain")[0]["loss"] != lines_of(tmp_path / "dropping")[0]["loss"]
    config = json.loads((tmp_path / "dropping/model/config.json").read_text())
    assert config["attention_dropout"] == 0.0, "who loads the model is not to train on with it unasked"
