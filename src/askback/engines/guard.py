"""Runs a command that must not outlive the process that started this one: ``python guard.py COMMAND ...``.

Standard input is a pipe whose other end the parent holds and never writes to. When that end closes, because the parent
closes it or has died, the command's process group gets SIGTERM, then SIGKILL. The output of the command is passed on
without the key in ``VLLM_API_KEY``, as it is kept in a file. Needs only Python's standard library.
"""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import IO

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
KINDLY = 10.0
"""Seconds between SIGTERM and SIGKILL."""


def main(command: list[str]) -> int:
    """Run `command` until it ends or standard input does; return its exit status."""
    # Our worker processes block these signals, and the command would inherit that.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
    # Ray kills the children of a worker that ends, and this process with them; its own child lives to end the command.
    if guarding := os.fork():
        for number in SIGNALS:
            signal.signal(number, lambda number, _: os.kill(guarding, number))
        return os.waitstatus_to_exitcode(os.waitpid(guarding, 0)[1])
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    assert child.stdout is not None
    key = os.environ.get("VLLM_API_KEY", "").encode()
    copying = threading.Thread(target=_copy, args=(child.stdout, key), daemon=True)
    copying.start()
    for number in SIGNALS:
        signal.signal(number, lambda *_: _end(child))
    while child.poll() is None:
        if select.select([0], [], [], 0.2)[0] and not os.read(0, 1024):
            break
    _end(child)
    copying.join(KINDLY)
    return child.wait()


def _copy(printed: IO[bytes], key: bytes) -> None:
    """Copy the output to standard output without the key; the end of a piece waits, as it may be part of the key."""
    held = b""
    while piece := os.read(printed.fileno(), 65536):
        text = (held + piece).replace(key, b"***") if key else piece
        ended = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
        keep = min(len(text) - ended, len(key))
        held = text[len(text) - keep :]
        _write(text[: len(text) - keep])
    _write(held)


def _write(text: bytes) -> None:
    while text:
        text = text[os.write(1, text) :]


def _end(child: "subprocess.Popen[bytes]") -> None:
    """End the process group, which may outlive its leader."""
    deadline = time.monotonic() + KINDLY
    _signal(child, signal.SIGTERM)
    while _signal(child, 0):
        child.poll()
        time.sleep(0.1)
        if time.monotonic() > deadline:
            _signal(child, signal.SIGKILL)


def _signal(child: "subprocess.Popen[bytes]", number: int) -> bool:
    """Send a signal to the group; return whether the group still exists."""
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
