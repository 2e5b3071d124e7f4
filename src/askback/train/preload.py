"""Imports what a training takes seconds to import: once, in the process that workers are forked from."""

from askback.engines.local.preload import preload

preload("trl.trainer.sft_trainer")
