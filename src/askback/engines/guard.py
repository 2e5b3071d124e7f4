"""Runs a command that must not outlive the process that started this one: ``python guard.py COMMAND ...``.

Its standard input is a pipe whose other end the parent holds and never writes to. When that end closes, because the
parent says so or has died in whatever way, the command's whole process group is ended, kindly and then not. What the
command prints goes on without the key it was given (``VLLM_API_KEY``), as it may print that, and this is kept in a file.
It needs nothing but Python itself.
"""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import IO

KINDLY = 10.0
"""Seconds between SIGTERM and SIGKILL."""


def main(command: list[str]) -> int:
    """Run `command` until it ends or standard input does; return its exit status."""
    # A worker process of ours is deaf to them, and so would be what it starts.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    assert child.stdout is not None
    key = os.environ.get("VLLM_API_KEY", "").encode()
    copying = threading.Thread(target=_copy, args=(child.stdout, key), daemon=True)
    copying.start()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: _end(child))
    while child.poll() is None:
        if select.select([0], [], [], 0.2)[0] and not os.read(0, 1024):
            break
    _end(child)
    copying.join(KINDLY)
    return child.wait()


def _copy(printed: IO[bytes], key: bytes) -> None:
    """Write what is printed to standard output, without the key; the end of a piece waits, as it may be part of one."""
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
    """End the group, which may outlive the process that leads it."""
    deadline = time.monotonic() + KINDLY
    _signal(child, signal.SIGTERM)
    while _signal(child, 0):
        child.poll()
        time.sleep(0.1)
        if time.monotonic() > deadline:
            _signal(child, signal.SIGKILL)


def _signal(child: "subprocess.Popen[bytes]", number: int) -> bool:
    """Send a signal to the group; tell whether there is one still."""
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
