"""Models of the run in a vLLM that is started and stopped for them (vllm/); on a cluster, in one for each worker."""

from askback.engines import EngineKind

ENGINE = EngineKind(
    "askback.engines.vllm.in_worker:Vllm",
    counts=("kind", "dtype", "arguments"),
    weight_bytes=2,
    needs=("httpx2", "http"),
)
