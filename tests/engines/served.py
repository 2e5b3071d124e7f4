"""What a server has behind it in tests: the random model of tests/tiny.py, or answers made from hashes."""

import hashlib
import itertools
import math
import threading
from http.server import HTTPServer
from pathlib import Path
from typing import Any

Body = dict[str, Any]
_numbers = itertools.count(1)


def url_of(server: HTTPServer) -> str:
    """Return a URL that no server of this process has had: ports come again, and answers are kept by URL."""
    return f"http://127.0.0.1:{server.server_address[1]}/{next(_numbers)}/v1"


def asked_path(path: str) -> str:
    """Return what a request's path has behind that of `url_of`."""
    return path.partition("/v1")[2]


class ServedModel:
    """Answers as vLLM does, with a checkpoint in float32. `lacks` names what to leave out: "ids", "prompt_logprobs",
    "echo", "logprobs"; what is lacking is passed over, as most servers do."""

    def __init__(self, folder: Path, lacks: frozenset[str] = frozenset()) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.lacks = lacks
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder).eval()
        self._lock = threading.Lock()

    def __call__(self, path: str, payload: Body) -> tuple[int, Body]:
        if path == "/chat/completions":
            turns = payload["messages"]
            text = self.tokenizer.apply_chat_template(turns[:1], tokenize=False, add_generation_prompt=True)
            text += turns[1]["content"] if len(turns) > 1 else ""
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        else:
            ids = payload["prompt"]
        if len(ids) + payload["max_tokens"] > self.model.config.max_position_embeddings:
            return 400, {"error": {"message": "This model's maximum context length is shorter."}}
        with self._lock:
            return 200, self._answer(ids, payload, path == "/chat/completions")

    def _answer(self, ids: list[int], payload: Body, chat: bool) -> Body:
        drawn, likely = self._draw(ids, payload)
        stopped = drawn[-1] == self.tokenizer.eos_token_id
        text = self.tokenizer.decode(drawn, skip_special_tokens=True)
        choice: Body = {"text": text, "finish_reason": "stop" if stopped else "length", "logprobs": None}
        if chat and payload.get("logprobs") and "logprobs" not in self.lacks:
            choice["logprobs"] = {
                "content": [self._named(*one, payload["top_logprobs"]) for one in zip(drawn, likely, strict=True)]
            }
        elif payload.get("logprobs") and "ids" not in self.lacks and not payload.get("echo"):
            wanted = payload.get("logprob_token_ids") or likely[0].topk(payload["logprobs"]).indices.tolist()
            choice["logprobs"] = {"top_logprobs": [{f"token_id:{token}": likely[0][token].item() for token in wanted}]}
        choice |= self._of_prompt(ids, payload)
        if chat:
            choice["message"] = {"role": "assistant", "content": choice.pop("text")}
        return {"choices": [choice], "usage": {"completion_tokens": len(drawn)}}

    def _of_prompt(self, ids: list[int], payload: Body) -> Body:
        import torch

        with torch.inference_mode():
            rows = self.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        values = [rows[at, token].item() for at, token in enumerate(ids[1:])]
        if payload.get("echo") and "echo" not in self.lacks:
            return {"logprobs": {"token_logprobs": [None, *values, -1.0]}}
        if payload.get("prompt_logprobs") is not None and "prompt_logprobs" not in self.lacks:
            likely = [{str(token): {"logprob": value}} for token, value in zip(ids[1:], values, strict=True)]
            return {"prompt_logprobs": [None, *likely]}
        return {}

    def _draw(self, ids: list[int], payload: Body) -> tuple[list[int], list[Any]]:
        import torch

        draw = torch.Generator().manual_seed(payload.get("seed", 0))
        drawn: list[int] = []
        likely = []
        with torch.inference_mode():
            while len(drawn) < payload["max_tokens"] and (not drawn or drawn[-1] != self.tokenizer.eos_token_id):
                likely.append(self.model(torch.tensor([ids + drawn])).logits[0, -1].log_softmax(-1))
                if payload.get("temperature"):
                    shares = (likely[-1] / payload["temperature"]).softmax(-1)
                    drawn.append(int(torch.multinomial(shares, 1, generator=draw)))
                else:
                    drawn.append(int(likely[-1].argmax()))
        return drawn, likely

    def _named(self, token: int, likely: Any, top: int) -> Body:
        best = likely.topk(top)
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return {
            "token": self.tokenizer.decode([token]),
            "logprob": likely[token].item(),
            "top_logprobs": [{"token": self.tokenizer.decode([one]), "logprob": value} for one, value in pairs],
        }


def rating(path: str, payload: Body) -> tuple[int, Body]:
    """Answer a chat: a question about a hash, or, asked for log-probabilities, a rating."""
    digest = hashlib.sha256(str(payload["messages"]).encode()).digest()
    choice: Body = {"message": {"content": f"What is {digest.hex()[:12]}?"}, "finish_reason": "stop"}
    if payload.get("logprobs"):
        weights = [1 + byte for byte in digest[:5]]
        likely = [
            {"token": f" {at + 1}", "logprob": math.log(one / sum(weights) * 0.9)} for at, one in enumerate(weights)
        ]
        choice["logprobs"] = {"content": [{"token": " 1", "logprob": likely[0]["logprob"], "top_logprobs": likely}]}
    return 200, {"choices": [choice], "usage": {"completion_tokens": 7}}
