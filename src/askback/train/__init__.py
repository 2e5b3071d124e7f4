"""Training M_yx and M_0 … M_t: examples → a checkpoint, through TRL's `SFTTrainer` (method.md 1.5).

As in the paper: loss on the output tokens alone (the stop token among them), a learning rate that falls linearly to 0.9 of
itself, weight decay 0.1, batches of 32 (8 for small sets), steps by the number of examples. What the paper leaves out is
left at the libraries' defaults: AdamW with betas 0.9 and 0.999, gradients clipped to norm 1, no warm-up. Departures:

* No dropout unless `dropout` (or, for adapters, `lora.dropout`) asks for it. The paper states 0.1 and not where; LLaMA's
  architecture has it at the attention weights alone (dropout.py).
* Weights are float32 and the arithmetic bfloat16 (autocast): a bfloat16 weight loses updates of 1e-5 to rounding. What
  engines read in bfloat16 is rounded stochastically, once, at the end (rounding.py).
* Batches hold examples of like length, so that little is padding. Which examples share a batch changes each epoch.

The same job gives the same model on the same machine, whether it was killed and resumed or not.
"""

from askback.train.finetune import Job, finetune
from askback.train.trainer import check_options
from askback.train.training_rows import batch_size_for, schedule, steps_for

__all__ = ["Job", "batch_size_for", "check_options", "finetune", "schedule", "steps_for"]
