"""One of several processes that train a model together: ``accelerate launch -m askback.train.worker JOBFILE``."""

import json
import os
import sys
import threading
import time
from pathlib import Path

from askback import owned
from askback.errors import AskbackError, Interrupted
from askback.execution.shards import write_json
from askback.train.finetune import finetune
from askback.train.launch import STEPS, STOP, read_job


def main(path: Path) -> int:
    """Do this process's part of the job, and return its exit status."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    folder = path.parent

    def report(steps: int, tokens: int) -> None:
        with owned.append(folder / STEPS) as file:
            file.write(f"{json.dumps([steps, tokens])}\n".encode())
        if (folder / STOP).exists():
            raise Interrupted("stopped; the training's checkpoint is saved. The same command goes on from there.")

    try:
        finetune(read_job(path), report)
    except Interrupted as stop:
        _fail(folder, type(stop).__name__, str(stop))
    except AskbackError as error:
        _fail(folder, type(error).__name__, str(error))
        return 1
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        _fail(folder, "WorkerDied", f"a training process failed: {reason}. The traceback is in the step's log.txt")
        raise
    import torch

    torch.distributed.destroy_process_group()
    return 0


def _fail(folder: Path, kind: str, message: str) -> None:
    write_json(folder / f"failed-{os.environ.get('RANK', '0')}.json", {"kind": kind, "message": message})


def _end_with_parent(parent: int) -> None:
    """End this process when its parent ends: the launcher gives each process its own session, without its signals."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
