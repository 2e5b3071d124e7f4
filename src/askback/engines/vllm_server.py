"""Models of the run in a vLLM that is started and stopped for them (vllm/vllm_server.py)."""

from askback.engines import EngineKind

ENGINE = EngineKind(
    "askback.engines.http.openai_http:OpenAIHttp",
    counts=("kind", "dtype", "arguments"),
    weight_bytes=2,
    needs=("httpx2", "http"),
)
