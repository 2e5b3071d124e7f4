"""A vLLM server of the run: started on a checkpoint, in the environment of its command, and asked as any other server.

There is one server at a time, started by the process that runs the steps and shared by its workers and by following steps
with the same model; on a Ray cluster each worker has one of its own (in_worker.py). It ends before a training, with the
run, and with the process that started it, however that dies (guard.py). It listens on its machine only, and needs a key
made for it.
"""

import json
import logging
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from askback import models, owned
from askback.engines import guard
from askback.engines.vllm.sizes import cards_here, sizes
from askback.errors import InputError
from askback.recipe import EngineOptions, Resources

logger = logging.getLogger(__name__)
KEY_VARIABLE = "ASKBACK_VLLM_KEY"
"""Environment variable that holds, for worker processes, a random key."""
NAME = "askback"
SAY_EVERY = 10.0
"""Seconds between two messages while a server starts."""
TAIL = 12
"""Number of lines of the log in an error."""
LOGS = "server*.log"
"""The files, in the folder of the step that starts a server, with the output of servers, also during later steps."""


def log_name(worker: str = "") -> str:
    """Return the name of a server's log: of the run's one server, or of a worker's own."""
    return LOGS.replace("*", worker and f"-{worker}")


class Server:
    """A vLLM server of `folder`, ready at `url`; it ends with `close()` or with this process.

    Args:
        folder: a checkpoint, or a LoRA adapter, which is served with its base model.
        log: file for its output.
        say: called with what was chosen for it (sizes.py), and with the last line of the log while it starts.

    Raises:
        InputError: the command does not exist, or the server ended or was not ready in time; with the end of its log.
    """

    def __init__(
        self, folder: Path, options: EngineOptions, log: Path, say: Callable[[str], None], chat_template: str = ""
    ) -> None:
        models.check_model(folder, chat_template)
        os.environ.setdefault(KEY_VARIABLE, secrets.token_hex(16))
        self.folder, self.log, self._ready_s, self._port = folder, log, options.ready_s, _free_port()
        self._closed = False
        self.url = f"http://127.0.0.1:{self._port}/v1"
        self.sizes = sizes(folder, options, cards_here())
        if self.sizes.arguments:
            say(f"vLLM: {' '.join(self.sizes.arguments)}")
        command = [*command_line(folder, options, self._port), *self.sizes.arguments]
        if shutil.which(command[0]) is None:
            raise InputError(
                f"engine.command: there is no '{command[0]}' here; install vLLM in an environment of its own, and give the "
                "path of its command"
            )
        with owned.append(log) as file:
            self._process = subprocess.Popen(
                [sys.executable, "-P", guard.__file__, *command],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | {"VLLM_API_KEY": os.environ[KEY_VARIABLE]},
                start_new_session=True,  # a Ctrl-C in the terminal is for us alone
            )
        try:
            self._wait(say)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the server and all processes that it started."""
        assert self._process.stdin is not None
        self._closed = True
        self._process.stdin.close()
        self._process.wait()

    def on_death(self, act: Callable[[], object]) -> None:
        """Call `act`, in a thread, if the server ends before it is closed."""

        def watch() -> None:
            status = self._process.wait()
            if not self._closed:
                logger.error("%s: vLLM ended (status %s):\n%s", self.folder, status, self._tail(TAIL))
                act()

        threading.Thread(target=watch, daemon=True).start()

    def _wait(self, say: Callable[[str], None]) -> None:
        began = shown = time.monotonic()
        while True:
            if self._process.poll() is not None:
                raise InputError(f"{self.folder}: vLLM ended (status {self._process.returncode}):\n{self._tail(TAIL)}")
            if self._healthy():
                return
            now = time.monotonic()
            if now - began > self._ready_s:
                raise InputError(
                    f"{self.folder}: vLLM was not ready within {self._ready_s:g} s (ready_s); its log ends:\n"
                    f"{self._tail(TAIL)}\nThe whole of it is in {self.log}"
                )
            if now - shown > SAY_EVERY:
                shown = now
                say(f"vLLM, {now - began:.0f} s: {self._tail(1)}")
            time.sleep(0.5)

    def _healthy(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def _tail(self, lines: int) -> str:
        text = self.log.read_text("utf-8", "replace")
        return "\n".join([line[:300] for line in text.splitlines() if line.strip()][-lines:])


def command_line(folder: Path, options: EngineOptions, port: int) -> list[str]:
    """Return the command line of a server of `folder`, without the checkpoint's own sampling defaults."""
    adapter = (folder / "adapter_config.json").is_file()
    model = str(models.base_of(folder) if adapter else folder)
    command = [part.replace("{model}", model) for part in options.command]
    if command == list(options.command):
        command.append(model)
    command += ["--host", "127.0.0.1", "--port", str(port), "--generation-config", "vllm"]
    command += ["--dtype", "float32" if options.dtype == "float32" else "bfloat16"]
    if adapter:
        rank = json.loads((folder / "adapter_config.json").read_text("utf-8"))["r"]
        allowed = next(size for size in (8, 16, 32, 64, 128, 256, 320, 512, rank) if size >= rank)
        command += ["--enable-lora", "--max-lora-rank", str(allowed), "--lora-modules", f"{NAME}={folder}"]
        command += ["--served-model-name", f"{NAME}-base"]
    else:
        command += ["--served-model-name", NAME]
    return [*command, *options.arguments]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def connected(options: EngineOptions, server: Server, workers: int = 1) -> EngineOptions:
    """Return the engine options for a running server, whose requests in flight are shared among `workers` processes."""
    found = {"url": server.url, "model": NAME, "tokenizer": str(server.folder), "api_key_env": KEY_VARIABLE}
    in_flight = options.concurrency or -(-server.sizes.concurrency // workers)
    return options.model_copy(update=found | {"api": "completions", "concurrency": in_flight})


class Serving:
    """The one server of a run: started when a step needs it, kept while the following steps use the same model."""

    def __init__(self) -> None:
        self._server: Server | None = None
        self._what: Any = None

    def ready(
        self, role: str, inputs: Mapping[str, Any], resources: Resources, log: Path, say: Callable[[str], None]
    ) -> Resources:
        """Return the resources of a step with the engine of its role, after starting the server if that is one of ours.

        A step that asks no model, such as a training, needs the memory: it ends the server. On a cluster, workers start
        their own.
        """
        options = resources.engine_for(role)
        if not role or options.kind != "vllm_server" or resources.executor == "ray":
            self.close()
            return resources.model_copy(update={"engine": options})
        model = inputs["model"]
        what = (options, model.fingerprint)
        if self._server is None or self._what != what:
            self.close()
            self._server, self._what = Server(model.path, options, log, say, model.chat_template), what
        return resources.model_copy(update={"engine": connected(options, self._server, resources.workers)})

    @property
    def chosen(self) -> dict[str, list[str]]:
        """What was chosen for the running server, for a step's record; {} if nothing was."""
        arguments = self._server.sizes.arguments if self._server is not None else ()
        return {"vllm_arguments": list(arguments)} if arguments else {}

    def close(self) -> None:
        """End the server, if one is running."""
        if self._server is not None:
            self._server.close()
            self._server = None
