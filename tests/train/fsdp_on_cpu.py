"""Importing this has accelerate take the CPU for a device that it knows FSDP on; PyTorch's own FSDP knows the CPU."""

from typing import Any

from accelerate import state
from accelerate.utils import DistributedType


def on_cpu(*_: Any, **__: Any) -> tuple[str, DistributedType]:
    return "gloo", DistributedType.MULTI_GPU


def without_cpu(self: state.PartialState, cpu: bool = False, **given: Any) -> None:
    given.pop("backend", None)
    begin(self, **given)


begin = state.PartialState.__init__
state.PartialState._prepare_backend = on_cpu
state.PartialState.__init__ = without_cpu
