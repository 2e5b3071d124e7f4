"""The engine `vllm_server` in a worker: asks the run's server, or, on a cluster, one of the worker's own.

A run's server listens on its own machine alone, so that a worker on another node could not reach it. There a worker starts
one beside itself, on the GPUs that Ray gave it, and the guard ends it with the worker, however that dies.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from socket import gethostname

from askback.engines.http.openai_http import OpenAIHttp
from askback.engines.order import check_order
from askback.engines.protocol import Likelihood
from askback.engines.vllm.vllm_server import Server, connected, log_name
from askback.engines.worker_context import WorkerContext
from askback.prompts.prompt import Prompt
from askback.recipe import EngineOptions

logger = logging.getLogger(__name__)


class Vllm(OpenAIHttp):
    """A model of the run in a vLLM (`Engine` in protocol.py).

    Where `options` name no running server, the worker starts one, which ends with its model (`WorkerContext.close`). If
    that server ends before, so does this process: the piece goes to another worker, as when a worker dies.

    Before it first answers with probabilities, it is tried in two orders (order.py).

    Raises:
        InputError: the server does not start, with the end of its log; or its probabilities depend on the order.
    """

    def __init__(
        self, model_folder: str, options: EngineOptions, chat_template: str = "", worker: WorkerContext | None = None
    ) -> None:
        worker = worker or WorkerContext()
        if not options.url:
            log = worker.folder / log_name(f"{gethostname()}-{os.getpid()}")
            server = Server(Path(model_folder), options, log, logger.warning, chat_template)
            worker.held.callback(server.close)
            server.on_death(lambda: os._exit(1))
            options = connected(options, server)
        super().__init__(model_folder, options, chat_template, worker)
        self._worker: WorkerContext | None = worker

    def choose(self, prompts: Sequence[Prompt], choices: Sequence[str]) -> list[list[float]]:
        """As in `OpenAIHttp`."""
        self._try_orders()
        return super().choose(prompts, choices)

    def loglikelihood(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> list[Likelihood]:
        """As in `OpenAIHttp`."""
        self._try_orders()
        return super().loglikelihood(prompts, continuations)

    def _try_orders(self) -> None:
        if self._worker is not None:
            worker, self._worker = self._worker, None
            logger.warning(check_order(self, worker, self._options.max_order_shift, self._options.url))
