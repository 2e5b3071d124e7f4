"""Stands in for vLLM's command, with answers made from hashes: ``python served_vllm.py MODEL --port N ...``.

Each notes its process in ``servers`` beside the model.
"""

import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.engines.fault_server import FaultServer


def answer(_: str, payload: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Answer a completion: a question about a hash, and the log-probabilities that are asked for."""
    asked: list[int] = payload["prompt"]
    digest = hashlib.sha256(str((asked, payload.get("seed"))).encode()).digest()
    choice: dict[str, Any] = {"text": f"What is {digest.hex()[:12]}?", "finish_reason": "stop", "logprobs": None}
    if payload.get("logprobs"):
        wanted = payload.get("logprob_token_ids") or range(payload["logprobs"])
        likely = {f"token_id:{token}": -1 - byte / 64 for token, byte in zip(wanted, digest, strict=False)}
        choice["logprobs"] = {"top_logprobs": [likely]}
    if payload.get("prompt_logprobs") is not None:
        choice["prompt_logprobs"] = [None, *({str(token): {"logprob": -1.0}} for token in asked[1:])]
    return 200, {"choices": [choice], "usage": {"completion_tokens": 7}}


if __name__ == "__main__":
    with (Path(sys.argv[1]).parent / "servers").open("a") as servers:
        servers.write(f"{os.getpid()}\n")
    with FaultServer(answer, delay=0.1, port=int(sys.argv[sys.argv.index("--port") + 1])):
        time.sleep(1000)
