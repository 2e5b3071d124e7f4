import copy
import json
from pathlib import Path
from typing import Any

import pytest

from askback import owned
from askback.engines.local import attention
from askback.engines.local.lines import can_pack
from askback.errors import RecipeError
from askback.recipe import Training
from askback.train import Job, check_options, finetune
from askback.train.checkpoints import Watch
from askback.train.trainer import MASKED, build_trainer, label_loss, labels
from askback.train.training_rows import Row, arrange, row_of, tokenize
from tests.tiny import ARCHITECTURES, random_model
from tests.train.examples import asked_of, examples, learnt_of, lesson

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

FLOAT32: dict[str, Any] = {"bf16": False}


def trainer_on(
    base: Path, folder: Path, options: Training, steps: int = 3, batch_size: int = 6
) -> tuple[Any, Any, Any]:
    from askback.engines.local.loading import load

    model, tokenizer = load(base, torch.float32)
    rows = [row for one in examples(10) if (row := tokenize(tokenizer, one, "forward", 512))]
    batches = arrange(rows, steps, batch_size, seed=0)
    owned.claim(folder, "step")
    owned.whole(folder / "checkpoints")
    watch = Watch(folder, "mark", [0] * steps, 300.0, lambda *_: None)
    return build_trainer(model, tokenizer, rows, batches, options, 0, watch, folder / "checkpoints"), rows, batches


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]


def test_the_labels_are_the_answer_and_its_stop_token(tiny_model: Path, tmp_path: Path) -> None:
    """What reaches the model, in the order planned: batches of 6 in passes of 2, which are one line each."""
    trainer, rows, batches = trainer_on(tiny_model, tmp_path, Training(trl={"per_device_train_batch_size": 2}))
    expected = [rows[index] for batch in batches for index in batch]
    seen = 0
    for inputs in trainer.get_train_dataloader():
        sizes = inputs["cu_seq_lens_q"].diff().tolist()
        assert len(sizes) == 2
        parts = (inputs[name][0].split(sizes) for name in ("input_ids", "labels", "position_ids"))
        for ids, found, place in zip(*parts, strict=True):
            row = expected[seen]
            assert ids.tolist() == row.ids
            assert found.tolist() == [MASKED] * len(asked_of(row)) + learnt_of(row)
            assert found.tolist()[-1] == trainer.processing_class.eos_token_id
            assert place.tolist() == list(range(row.tokens))
            seen += 1
    assert seen == len(expected)


def test_the_label_loss_and_its_gradients_are_the_models_own(tiny_model: Path, tmp_path: Path) -> None:
    trainer, rows, batches = trainer_on(tiny_model, tmp_path, Training(trl=FLOAT32))
    inputs = next(iter(trainer.get_train_dataloader()))
    ours = trainer.model
    theirs = copy.deepcopy(ours)
    theirs.__dict__.pop("forward", None)  # TRL puts its own in its place
    theirs.set_attn_implementation("sdpa")
    tokens = (inputs["labels"][:, 1:] != MASKED).sum()
    assert tokens == sum(len(learnt_of(rows[index])) for index in batches[0])
    loss = label_loss(ours, inputs, tokens)
    reference = theirs(**padded([rows[index] for index in batches[0]])).loss
    torch.autograd.backward(loss)
    torch.autograd.backward(reference)
    torch.testing.assert_close(loss, reference, atol=1e-5, rtol=0)
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-4)


def collated(rows: list[Row], padding_free: bool) -> dict[str, Any]:
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    given = [{"input_ids": row.ids, "labels": labels(row)} for row in rows]
    inputs: dict[str, Any] = DataCollatorForLanguageModeling(0, padding_free=padding_free)(given)
    return inputs


def padded(rows: list[Row]) -> dict[str, Any]:
    return collated(rows, padding_free=False)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES.keys() - {"Gemma2", "Bloom", "Lfm2"}))
def test_rows_in_one_line_give_the_loss_and_gradients_of_padded_ones(name: str) -> None:
    ours = random_model(name)
    theirs = copy.deepcopy(ours)
    attention.use(ours)
    assert can_pack(ours)
    lengths = enumerate((30, 9, 70, 70, 17))
    rows = [row_of("", [([3 + at * of % 400 for at in range(long)], [7 + of, 9])], False) for of, long in lengths]
    loss, expected = label_loss(ours, collated(rows, padding_free=True), None), label_loss(theirs, padded(rows), None)
    torch.testing.assert_close(loss, expected, atol=1e-4, rtol=0)
    torch.autograd.backward([loss, expected])
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-4, rtol=1e-3)


def test_rows_are_padded_where_attention_cannot_keep_them_apart(tiny_model: Path, tmp_path: Path) -> None:
    from askback.engines.local import lines

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_tried", lambda _: False)
        trainer, rows, batches = trainer_on(tiny_model, tmp_path, Training(trl=FLOAT32))
    inputs = next(iter(trainer.get_train_dataloader()))
    assert inputs["attention_mask"].sum() == sum(rows[index].tokens for index in batches[0])
    assert "cu_seq_lens_q" not in inputs


def test_a_prefix_read_once_gives_the_same_loss_and_gradients(tiny_model: Path) -> None:
    from askback.engines.local.loading import load

    model, tokenizer = load(tiny_model, torch.float32)
    attention.use(model)
    taught = [lesson(one, float(at % 5 + 1)) for at, one in enumerate(examples(5))]
    rows = [row for one in taught if (row := tokenize(tokenizer, one, "forward", 2048))]
    losses, gradients, read = [], [], []
    model.get_input_embeddings().register_forward_hook(lambda _, given, __: read.append(given[0].numel()))
    for inputs, share in ((padded(rows), True), (collated(rows, True), False), (collated(rows, True), True)):
        model.zero_grad()
        loss = label_loss(model, inputs, None, share)
        torch.autograd.backward(loss)
        losses.append(loss)
        gradients.append([one.grad.clone() for one in model.parameters()])
    for found, their in zip(losses[1:], gradients[1:], strict=True):
        torch.testing.assert_close(found, losses[0], atol=1e-5, rtol=0)
        for one, other in zip(their, gradients[0], strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert read[:2] == [5 * max(row.tokens for row in rows), sum(row.tokens for row in rows)]
    assert sum(read[2:]) < read[1] / 2


@pytest.mark.parametrize("passes", [1, 4])
def test_the_first_loss_is_the_mean_over_the_label_tokens(tiny_model: Path, tmp_path: Path, passes: int) -> None:
    """Worked out by hand, row by row without padding; splitting the batch into passes changes nothing."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    trl = {**FLOAT32, "per_device_train_batch_size": 8 // passes}
    options = Training(steps=1, batch_size=8, exposure="paper", trl=trl)
    taught = examples(8)
    metrics = finetune(Job(str(tiny_model), "", "forward", options, taught, str(tmp_path), 0), lambda *_: None)
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    total, count = 0.0, 0
    for one in taught:
        row = tokenize(tokenizer, one, "forward", 2048)
        assert row
        with torch.no_grad():
            log_probabilities = model(torch.tensor([row.ids])).logits[0].log_softmax(-1)
        for at, token in enumerate(learnt_of(row), start=len(asked_of(row))):
            total -= log_probabilities[at - 1, token].item()
        count += len(learnt_of(row))
    assert (metrics["label_tokens"], metrics["padding"]) == (count, 0)
    assert metrics["first_loss"] == pytest.approx(total / count, abs=1e-4)


def test_passes_do_not_change_the_model(tiny_model: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    weights = []
    for micro in (8, 2):
        trl = {**FLOAT32, "per_device_train_batch_size": micro}
        options = Training(steps=4, batch_size=8, exposure="paper", trl=trl)
        job = Job(str(tiny_model), "", "forward", options, examples(20), str(tmp_path / str(micro)), 0)
        finetune(job, lambda *_: None)
        weights.append(load_file(tmp_path / str(micro) / "model/model.safetensors"))
    base = load_file(tiny_model / "model.safetensors")
    for name, weight in weights[0].items():
        moved = (weight - base[name]).abs().max()
        assert (weight - weights[1][name]).abs().max() <= 0.05 * moved


@pytest.mark.parametrize(
    ("steps", "first", "final"), [(5, 1e-5, 9e-6), (4, 2e-4, 0.0), (3, 1e-5, 1e-5), (1, 1e-5, 9e-6)]
)
def test_the_learning_rate_falls_linearly_to_the_last_step(
    tiny_model: Path, tmp_path: Path, steps: int, first: float, final: float
) -> None:
    options = Training(steps=steps, batch_size=4, learning_rate=first, final_learning_rate=final)
    finetune(Job(str(tiny_model), "", "backward", options, examples(8), str(tmp_path), 0), lambda *_: None)
    rates = [line["learning_rate"] for line in lines_of(tmp_path)]
    expected = [first + (final - first) * at / max(1, steps - 1) for at in range(steps)]
    assert rates == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_trl_options_come_on_top(tiny_model: Path, tmp_path: Path) -> None:
    trl = {"lr_scheduler_type": "constant", "learning_rate": 5e-4, "adam_beta2": 0.95, "gradient_checkpointing": True}
    trainer, _, _ = trainer_on(tiny_model, tmp_path, Training(learning_rate=1e-5, trl=trl))
    assert trainer.args.learning_rate == 5e-4
    assert trainer.args.adam_beta2 == 0.95
    assert trainer.args.activation_checkpointing
    trainer.create_optimizer()
    assert trainer.create_scheduler(num_training_steps=3).get_last_lr() == [5e-4, 5e-4]


def test_defaults_are_the_papers(tiny_model: Path, tmp_path: Path) -> None:
    trainer, _, _ = trainer_on(tiny_model, tmp_path, Training())
    assert trainer.args.weight_decay == 0.1
    assert trainer.args.learning_rate == 1e-5
    assert trainer.args.warmup_steps == 0
    assert not trainer.args.activation_checkpointing
    assert {parameter.dtype for parameter in trainer.model.parameters()} == {torch.float32}
    assert trainer.args.per_device_train_batch_size * trainer.args.gradient_accumulation_steps == 6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Training(trl={"learning_rat": 1e-4}), ["trl.learning_rat", "'learning_rate'"]),
        (Training(trl={"max_steps": 5, "outputdir": "x"}), ["trl.max_steps", "use steps:", "trl.outputdir"]),
        (Training(trl={"hub_token": "x"}), ["trl.hub_token", "published with the data"]),
    ],
)
def test_wrong_options_are_named(options: Training, words: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        check_options(options)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    ("trl", "words"),
    [
        ({"per_device_train_batch_size": 4}, ["4 does not divide", "6 examples"]),
        ({"lr_scheduler_type": "zigzag"}, ["trl: ", "zigzag"]),
        ({"assistant_only_loss": True}, ["trl: ", "assistant_only_loss"]),
    ],
)
def test_what_trl_refuses_is_an_error_of_the_recipe(
    tiny_model: Path, tmp_path: Path, trl: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(RecipeError) as caught:
        trainer_on(tiny_model, tmp_path, Training(trl=trl))
    assert all(word in str(caught.value) for word in words)
    assert "\n" not in str(caught.value)


def test_nothing_is_sent_anywhere(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL tells its makers of every trainer that is built, unless it runs in a CI."""
    from trl.trainer import base_trainer

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("telemetry was sent")

    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(base_trainer, "send_telemetry", refuse)
    trainer_on(tiny_model, tmp_path, Training())
