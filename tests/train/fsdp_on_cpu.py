"""worker.py, where accelerate takes the CPU for one of the devices that it knows FSDP on; PyTorch's own knows it here."""

import sys
from pathlib import Path
from typing import Any

from accelerate import state
from accelerate.utils import DistributedType

from askback.train.worker import main


def on_cpu(*_: Any, **__: Any) -> tuple[str, DistributedType]:
    return "gloo", DistributedType.MULTI_GPU


def without_cpu(self: state.PartialState, cpu: bool = False, **given: Any) -> None:
    given.pop("backend", None)
    begin(self, **given)


begin = state.PartialState.__init__
state.PartialState._prepare_backend = on_cpu
state.PartialState.__init__ = without_cpu

if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
