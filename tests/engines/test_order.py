"""Scores that depend on the order of the prompts are found and refused, those of an exact server are not."""

from pathlib import Path
from threading import Lock

import pytest

from askback.engines.http.openai_http import OpenAIHttp
from askback.engines.order import TREES, check_order, order_shift
from askback.engines.worker_context import WorkerContext
from askback.errors import InputError
from askback.recipe import EngineOptions
from tests.engines.fault_server import FaultServer
from tests.engines.served import Body, ServedModel


class Drifting:
    """Adds to each log-probability of a rating of 5, and of a prompt's tokens, what it was asked before times `step`."""

    def __init__(self, model: ServedModel, step: float) -> None:
        self.model, self.step, self.asked, self.lock = model, step, 0, Lock()

    def __call__(self, path: str, payload: Body) -> tuple[int, Body]:
        status, body = self.model(path, payload)
        with self.lock:
            self.asked += 1
            drift = self.step * self.asked
        for choice in body["choices"]:
            for likely in (choice["logprobs"] or {}).get("top_logprobs", ()):
                last = list(likely)[-1]
                likely[last] += drift
            for position in (choice.get("prompt_logprobs") or ())[1:]:
                for token in position.values():
                    token["logprob"] -= drift
        return status, body


def opened(url: str, tiny_model: Path, worker: WorkerContext) -> OpenAIHttp:
    options = EngineOptions(kind="openai_http", url=url, model="served", tokenizer=str(tiny_model), concurrency=1)
    return OpenAIHttp("", options, "", worker)


def test_an_exact_server_passes(tiny_model: Path) -> None:
    with FaultServer(ServedModel(tiny_model)) as server:
        worker = WorkerContext()
        engine = opened(server.url, tiny_model, worker)
        before = len(server.delivered)
        shift = order_shift(engine, worker)
        assert shift.level is not None and shift.nats is not None and max(shift.level, shift.nats) < 1e-5
        asked = sum(server.delivered.values()) - before
        assert asked >= 4 * len(TREES), "both orders are asked for, as nothing is taken from the cache"
        assert check_order(engine, worker, 0.02, "here").startswith("in another order its answers differ by ")
        assert not len(worker.answers), "nothing of the trial is left among the run's answers"


@pytest.mark.parametrize("lacks", ["prompt_logprobs", "ids"])
def test_a_drifting_server_is_refused(tiny_model: Path, lacks: str) -> None:
    model = ServedModel(tiny_model, frozenset({lacks, "echo"}))
    with FaultServer(Drifting(model, 0.05)) as server:
        worker = WorkerContext()
        engine = opened(server.url, tiny_model, worker)
        with pytest.raises(InputError, match=r"scores depend on the order .* 0\.02 of a level .* max_order_shift"):
            check_order(engine, worker, 0.02, server.url)
        assert "in another order" in check_order(engine, worker, 100.0, server.url)
