"""The model of a server that speaks OpenAI's protocol."""

from askback.engines import EngineKind

ENGINE = EngineKind(
    "askback.engines.http.openai_http:OpenAIHttp",
    counts=("kind", "url", "model", "api", "tokenizer", "leave_out"),
    served=True,
    needs=("httpx2", "http"),
)
