"""TRL's `SFTTrainer`, set up for our rows: its settings, its loss on a CPU, its learning rate."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askback.engines.batching import Row as Read
from askback.engines.batching import shared_prefix
from askback.engines.local import attention
from askback.engines.local.lines import can_pack, lay, no_mask, to
from askback.engines.local.loading import multiplies_bfloat16
from askback.errors import MissingExtra, RecipeError
from askback.lookup import nearest
from askback.recipe import Lora, Training
from askback.train import distributed
from askback.train.checkpoints import Watch
from askback.train.training_rows import Row, micro_batch_for

if TYPE_CHECKING:
    import torch

MASKED = -100
"""Label of a token without loss."""

MICRO_TOKENS = {"cpu": 4096, "gpu": 16384}
"""Largest number of tokens in one forward and backward pass, padding included; a batch may take several passes."""

SHARED_TOKENS = 64
"""Smallest length of a common prefix that is read once for all rows."""

_ORDERED = "the data are tokenised and put in order before"
_LOGGED = "metrics.jsonl has every step"
OWN = {
    **dict.fromkeys(
        (
            *("push_to_hub", "hub_token", "hub_model_id", "hub_strategy"),
            *("hub_private_repo", "hub_always_push", "hub_revision"),
        ),
        "the recipe is written to disk and published with the data; push the finished model yourself",
    ),
    "output_dir": "it is the run's folder",
    "max_steps": "use steps:",
    "num_train_epochs": "use steps:",
    "max_length": "use max_tokens:",
    "chat_template_path": "use chat_template:",
    "eos_token": _ORDERED,
    "dataset_kwargs": _ORDERED,
    "train_sampling_strategy": _ORDERED,
    "shuffle_dataset": _ORDERED,
    "packing": _ORDERED,
    "padding_free": "rows are packed wherever the model's attention keeps them apart",
    "model_init_kwargs": "the model is loaded before, in float32",
    "gradient_accumulation_steps": "it follows from batch_size: and trl.per_device_train_batch_size",
    "auto_find_batch_size": "use per_device_train_batch_size: 1 where memory is short",
    "average_tokens_across_devices": "the loss is the mean over the labels of a whole batch, on however many devices",
    **dict.fromkeys(("fsdp", "fsdp_config", "deepspeed"), "use resources.training.strategy"),
    "logging_steps": _LOGGED,
    "logging_strategy": _LOGGED,
    "logging_nan_inf_filter": "training stops when the loss is not a number",
    "report_to": "use resources.trackers, which is no part of the result",
    **dict.fromkeys(("run_name", "project"), "trackers get the names of the run and of the step"),
    "resume_from_checkpoint": "a training resumes by itself",
}
"""Options of `SFTConfig` that a recipe's `trl:` may not set, with the reason or the alternative."""


def check_options(options: Training) -> None:
    """Check the options `trl`, which the recipe's own validation cannot check without TRL.

    Raises:
        RecipeError: `trl` has a key that `SFTConfig` lacks, or one of `OWN`. All problems are listed.
    """
    from trl import SFTConfig

    allowed = {field.name for field in fields(SFTConfig) if field.init} - OWN.keys()
    problems = [f"trl.{key}: cannot be set here; {OWN[key]}" for key in options.trl if key in OWN]
    unknown = [key for key in options.trl if key not in allowed | OWN.keys()]
    problems += [f"trl.{key}: TRL's SFTConfig has no such option.{nearest(key, allowed)}" for key in unknown]
    if problems:
        raise RecipeError("\n".join(problems))


def build_trainer(
    model: Any,
    tokenizer: Any,
    rows: list[Row],
    batches: list[list[int]],
    options: Training,
    random_seed: int,
    watch: Watch,
    checkpoints: Path,
) -> Any:
    """Return TRL's trainer, which takes the rows in the order of `batches`.

    Raises:
        RecipeError: the `trl` options do not go together.
    """
    from datasets import Dataset
    from transformers import PrinterCallback, TrainerCallback

    class Steps(TrainerCallback):  # type: ignore[misc]
        on_step_end = watch.on_step_end
        on_log = watch.on_log
        on_save = watch.on_save

    data = {"input_ids": [row.ids for row in rows], "labels": [labels(row) for row in rows]}
    lengths = [[rows[index].tokens for index in batch] for batch in batches]
    attention.use(model)
    with _as_recipe_error():
        trainer = _trainer_class()(
            model=model,
            args=_settings(options, lengths, can_pack(model), random_seed, checkpoints),
            train_dataset=Dataset.from_dict(data).select([index for batch in batches for index in batch]),
            processing_class=tokenizer,
            peft_config=_adapter(options.lora),
            callbacks=[Steps()],
        )
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()  # TRL rounds an adapter on a quantised base
    # Without its progress bar the library prints every step.
    trainer.remove_callback(PrinterCallback)
    return trainer


def labels(row: Row) -> list[int]:
    """Return a row's ids where they are learnt, elsewhere `MASKED`."""
    return [id if learnt else MASKED for id, learnt in zip(row.ids, row.learnt, strict=True)]


def _trainer_class() -> Any:
    from trl import SFTTrainer

    class Trainer(SFTTrainer):  # type: ignore[misc]
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            # TRL's fused head is made for GPUs; on a CPU it computes logits of every position in float32, also of padding.
            whole = self.args.device.type == "cpu" and not self.is_fsdp_enabled
            plain = self.args.loss_type == "nll" and self.label_smoother is None and not self.aux_loss_enabled
            if "cu_seq_lens_q" in inputs and not self.aux_loss_enabled:
                inputs["attention_mask"] = no_mask(inputs["input_ids"].shape[1], inputs["input_ids"].device)
            if whole and plain and not return_outputs:
                redone = self.args.gradient_checkpointing or self.args.activation_checkpointing
                loss = label_loss(model, inputs, num_items_in_batch, share=not redone)
                # The labels are those of all processes, whose gradients are then averaged.
                return loss if num_items_in_batch is None else loss * self.accelerator.num_processes
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

        def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
            # The last of n steps is n - 1 intervals after the first, and has to reach the final learning rate.
            return super().create_scheduler(max(1, num_training_steps - 1), optimizer)

        def _send_telemetry(self) -> None:
            """Send nothing: what a user trains is theirs."""

    return Trainer


def label_loss(
    model: Any, inputs: dict[str, "torch.Tensor"], label_tokens: "torch.Tensor | int | None", share: bool = True
) -> "torch.Tensor":
    """Return the cross-entropy summed over the labels of a micro-batch, divided by the number of labels of its batch.

    Logits are computed only at positions whose next token is a label, which gives the same sum for a fraction of the work
    and memory where prompts are long. With `share`, a common prefix of all rows in a line is read once: the same loss and
    gradients, for half the work with the rubric's prompt.
    """
    from torch.nn.functional import cross_entropy

    inner = getattr(model, "module", model)  # of several processes, each has it wrapped
    if share and "cu_seq_lens_q" in inputs:
        # Not through the wrapper: each of its passes must run in all processes, which may have other prefixes.
        inputs = _after_prefix(inner, inputs)
    labels = inputs["labels"][:, 1:]
    learnt = labels != MASKED
    rest = {name: value for name, value in inputs.items() if name != "labels"}

    def keep(_: Any, hidden: tuple["torch.Tensor"]) -> "torch.Tensor":
        return hidden[0][:, :-1][learnt].unsqueeze(0)

    with inner.get_output_embeddings().register_forward_pre_hook(keep):
        logits = model(**rest, use_cache="cache" in rest).logits[0]
    total = cross_entropy(logits.float(), labels[learnt], reduction="sum")
    return total / (learnt.sum().clamp(min=1) if label_tokens is None else label_tokens)


def _after_prefix(model: Any, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs after the common prefix of all rows, with its cache, through which gradients flow.

    They stay as they are where that is shorter than `SHARED_TOKENS`, or a layer keeps more than keys and values.
    """
    import torch
    from transformers import DynamicCache

    kinds = getattr(model.config.get_text_config(), "layer_types", None) or ["full_attention"]
    sizes = inputs["cu_seq_lens_q"].diff().tolist()
    ids, labels = (inputs[name][0].split(sizes) for name in ("input_ids", "labels"))
    first = [int((row != MASKED).int().argmax()) for row in labels]
    shared = shared_prefix([Read(row.tolist(), [(at - 1, 0)]) for row, at in zip(ids, first, strict=True)])
    if shared < SHARED_TOKENS or set(kinds) != {"full_attention"}:
        return inputs
    cache = DynamicCache()
    model(input_ids=ids[0][None, :shared], cache=cache, use_cache=True, logits_to_keep=1)
    laid = to(lay([row[shared:].tolist() for row in ids], packed=True, pad=0, before=shared), ids[0].device)
    return {
        "input_ids": laid.ids,
        "labels": torch.cat([row[shared:] for row in labels]).unsqueeze(0),
        "cache": cache,
        **laid.rest,
    }


def _settings(options: Training, lengths: list[list[int]], packed: bool, random_seed: int, checkpoints: Path) -> Any:
    """Return the `SFTConfig` of the recipe's options, with its `trl` on top."""
    import torch
    from trl import SFTConfig

    batch_size, processes = len(lengths[0]), distributed.count()
    gpu = torch.accelerator.is_available() and not options.trl.get("use_cpu", False)
    chosen = {
        "per_device_train_batch_size": micro_batch_for(
            lengths, MICRO_TOKENS["gpu" if gpu else "cpu"], processes, packed
        ),
        "learning_rate": options.learning_rate,
        "weight_decay": options.weight_decay,
        "bf16": multiplies_bfloat16() and not options.trl.get("fp16", False),
        "activation_checkpointing": options.trl.get("gradient_checkpointing", False),
        "use_cpu": not gpu,
        "ddp_find_unused_parameters": False,  # all are used; looking for others costs a pass over the graph
        "use_cache": True,  # goes into the model's config.json alone, where engines read it
        "seed": random_seed % 2**32,
        "report_to": "none",
        "save_strategy": "no",  # `Watch` says when
        "disable_tqdm": True,
        **_falling(options),
        **options.trl,
    }
    micro = chosen["per_device_train_batch_size"]
    if not isinstance(micro, int) or micro < 1 or batch_size % (micro * processes):
        share = f", shared by {processes} processes" if processes > 1 else ""
        raise RecipeError(
            f"trl.per_device_train_batch_size: {micro} does not divide the batch of {batch_size} examples{share}"
        )
    settings = SFTConfig(
        **chosen,
        output_dir=str(checkpoints),
        max_steps=len(lengths),
        gradient_accumulation_steps=batch_size // (micro * processes),
        max_length=None,
        padding_free=packed and micro > 1,
        dataset_kwargs={"skip_prepare_dataset": True},
        train_sampling_strategy="sequential",
        logging_steps=1,
        logging_nan_inf_filter=False,
    )
    # Several GPUs in one process would mean DataParallel, which TRL refuses.
    settings._n_gpu = min(1, settings.n_gpu)
    return settings


def _falling(options: Training) -> dict[str, Any]:
    """Return the options of a linear schedule to `final_learning_rate`, unless `trl` names another schedule."""
    if "lr_scheduler_type" in options.trl:
        return {}
    if options.final_learning_rate == options.learning_rate:
        return {"lr_scheduler_type": "constant"}
    return {
        "lr_scheduler_type": "polynomial",
        "lr_scheduler_kwargs": {"lr_end": options.final_learning_rate, "power": 1.0},
    }


def _adapter(lora: Lora | None) -> Any:
    if lora is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )


def quantisation(kind: str) -> Any:
    """Return transformers' quantisation of the base model under an adapter (QLoRA, Dettmers et al. 2023).

    Raises:
        MissingExtra: bitsandbytes is not installed.
    """
    import torch
    from transformers import BitsAndBytesConfig

    if not find_spec("bitsandbytes"):
        raise MissingExtra("bitsandbytes", "quantised", f"lora.quantised: {kind}")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=kind,
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if multiplies_bfloat16() else torch.float32,
    )


@contextmanager
def _as_recipe_error() -> Iterator[None]:
    """Raise `RecipeError` for an option that TRL refuses."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise RecipeError(f"trl: {' '.join(str(error).split())}") from error
