"""Models of the run in this process, by the library of that name."""

from askback.engines import EngineKind

ENGINE = EngineKind(
    "askback.engines.local.transformers_local:TransformersLocal",
    counts=("kind", "dtype"),
    weight_bytes=2,
    preload="askback.engines.local.preload",
)
