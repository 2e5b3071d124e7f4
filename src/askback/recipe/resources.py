"""How a recipe is run."""

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from askback.recipe.base import FilePath, Options
from askback.recipe.names import EngineName


class EngineOptions(Options):
    """The engine that runs a model for augment, score and evaluation."""

    kind: EngineName = "transformers"
    """`transformers` runs the run's models in this process, `vllm_server` in a vLLM it starts and stops; `openai_http`
    asks a server's own model, so it is for the roles under `engines` alone; `scripted` has no model."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """`auto` is float32 to measure losses, else bfloat16; of a trained model, bfloat16 is the form that training rounded
    stochastically. `bfloat16` is for a model that is too large to measure its loss in float32. Where the machine does not
    multiply bfloat16 itself, the embedded engine reckons with the same weights in float32."""
    batch_tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens in flight at once, padding included; by default 65,536 on a GPU, and on a CPU 1,024 to read, and to draw
    8,192 to 32,768, as many as 1 GiB holds. Of `transformers` alone."""
    url: str = ""
    """Of `openai_http`: where the server is, as in http://host:8000/v1."""
    model: str = ""
    """The model's name there; "" asks the server, if it has one alone."""
    api: Literal["auto", "chat", "completions"] = "auto"
    """`auto` is completions where there is a `tokenizer`, else chat."""
    tokenizer: FilePath = ""
    """Folder of the checkpoint that the server runs, if it is here: prompts are then rendered here and sent as tokens."""
    api_key_env: str = ""
    """NAME of the environment variable that holds the server's key. The key itself is written nowhere."""
    usd_per_million_prompt_tokens: Annotated[float, Field(ge=0)] = 0.0
    """Of `openai_http`: the server's price in US dollars, for a plan's forecast and `--max-usd`; it alters no result."""
    usd_per_million_output_tokens: Annotated[float, Field(ge=0)] = 0.0
    """The same, of tokens that the model writes."""
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 32
    """At most so many requests in flight, for each worker; how many there are adapts to the server."""
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    """For one request, from sending it to the last byte of its answer."""
    retries: Annotated[int, Field(ge=0)] = 6
    """Further tries, with growing pauses (a minute together), where a fault may pass. Being pushed back does not count."""
    leave_out: tuple[Literal["seed", "top_p", "temperature", "logprobs"], ...] = ()
    """Parameters that the server refuses, and that are not sent. Without `logprobs` a score is read from text; without the
    others the server draws as it does by default, and another attempt may give another answer."""
    accept_refusals: tuple[Literal[200, 400, 403, 413, 422, 451], ...] = ()
    """Statuses with which the server refuses what a record says, as a content filter does: these records fail one by one,
    however many there are. Other refusals that come one after the other, or of a plain question too, stop the run. 200 is
    of an answer that was withheld or holds no text."""
    command: Annotated[tuple[str, ...], Field(min_length=1)] = ("vllm", "serve")
    """Of `vllm_server`: what starts it; {model} in it stands for the model's folder, which else comes last."""
    arguments: tuple[str, ...] = ()
    """More of vLLM's own, such as [--quantization, fp8]. They count as part of the steps that ask a model. On a CPU give
    --no-enable-chunked-prefill: vLLM 0.32 dies there when it reads a prompt that has a seed in parts."""
    ready_s: Annotated[float, Field(gt=0)] = 900.0
    """Seconds it may take to be ready: loading and compiling a large model takes minutes."""

    @model_validator(mode="after")
    def _server_options(self) -> "EngineOptions":
        # Nothing given is repeated in these messages: it may be a secret in the wrong place.
        if self.api_key_env and not re.fullmatch(r"[A-Z_][A-Z0-9_]*", self.api_key_env):
            raise ValueError("api_key_env is the NAME of an environment variable, in capitals, never the key itself")
        if self.url and not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", self.url):
            raise ValueError("url must be http(s)://HOST[:PORT]/v1, without user, password or query; see api_key_env")
        if self.kind == "openai_http" and not self.url:
            raise ValueError("kind 'openai_http' needs a url")
        if self.kind == "openai_http" and self.api == "completions" and not self.tokenizer:
            raise ValueError("api 'completions' needs a tokenizer, to send prompts as tokens; or use api: chat")
        if any(re.match(r"--?api[-_]?key\b", part) for part in (*self.command, *self.arguments)):
            raise ValueError("command and arguments are written to disk: they hold no key; one is made for each server")
        if self.kind != "openai_http" and self.priced:
            raise ValueError(
                "prices of tokens are of 'openai_http'; the price of this machine is resources.usd_per_hour"
            )
        return self

    @property
    def priced(self) -> bool:
        """Tell whether its tokens cost money."""
        return self.usd_per_million_prompt_tokens + self.usd_per_million_output_tokens > 0


class Engines(Options):
    """Other engines for single roles, such as a judge behind an API; None takes `Resources.engine`."""

    augment: EngineOptions | None = None
    score: EngineOptions | None = None
    compare: EngineOptions | None = None
    """The judge of `askback evaluate` and `askback scaling`."""


class Launch(Options):
    """On how many devices a model is trained. The recipe's batch is shared among them, so its size and its rows are the
    same, and so is the result but for rounding."""

    processes: Annotated[int, Field(ge=1)] = 1
    """On each node; one for each of its GPUs. More than one go through ``accelerate launch``."""
    nodes: Annotated[int, Field(ge=1)] = 1
    """With more than one, `askback join` runs on each of the others; all see the run folder under the same path."""
    main_address: Annotated[str, Field(pattern=r"^([A-Za-z0-9.-]+:\d{1,5})?$")] = ""
    """HOST:PORT of the node that runs the recipe, where the others meet it; needed with several nodes."""
    strategy: Literal["ddp", "fsdp"] = "ddp"
    """`ddp` has the whole model on every device; `fsdp` spreads weights, gradients and optimiser over the GPUs."""
    device_map: Literal["auto"] | None = None
    """`auto` spreads a model that is too large for one GPU over all that one process sees, layer after layer."""

    @property
    def total(self) -> int:
        """Processes over all nodes."""
        return self.processes * self.nodes

    @model_validator(mode="after")
    def _goes_together(self) -> "Launch":
        if self.nodes > 1 and not self.main_address:
            raise ValueError("nodes above 1 need main_address, the HOST:PORT of the node that runs the recipe")
        if self.device_map and self.total > 1:
            raise ValueError("device_map is for one process; for several, strategy: fsdp spreads the model")
        if self.strategy == "fsdp" and self.total == 1:
            raise ValueError("strategy fsdp spreads a model over several processes; give processes or nodes")
        return self


class Resources(Options):
    """How the recipe is run. None of it changes what comes out, beyond the rounding of floating-point sums; the engines'
    kind, dtype, server and model do, and count as part of the steps that ask a model."""

    runs: FilePath = "runs"
    """Folder that holds run folders."""
    workers: Annotated[int, Field(ge=1)] = 1
    """Worker processes for augment, score and corpus; each holds a model, or its requests to a server. With Ray, over the
    whole cluster."""
    executor: Literal["local", "ray"] = "local"
    """Where work is done: `local` in processes on this machine, `ray` on a Ray cluster (askback[ray]), whose nodes have the
    same askback, and see the folder it is started in, the run folder, documents and models under the same paths."""
    address: Annotated[str, Field(pattern=r"^(auto|[A-Za-z0-9_.-]+:\d{1,5})?$")] = ""
    """Of `ray`: HOST:PORT of a running cluster, `auto` for the one this machine belongs to; "" starts one here, for this
    process alone."""
    cpus_per_worker: Annotated[float, Field(gt=0)] = 1.0
    """Of `ray`: what a worker takes of its node, and each process of a training."""
    gpus_per_worker: Annotated[float, Field(ge=0)] | None = None
    """Of `ray`: what a worker that holds a model takes, and each process of a training; by default 1 where the cluster has
    GPUs, else 0."""
    device: Literal[
        "auto", "cpu", "b200", "h200", "h100", "a100", "l40s", "rtx5090", "rtx4090", "rtx3090", "a10", "l4", "mi300x"
    ] = "auto"
    """What the run is planned for, where nothing was measured: its speed and memory are known (plan/devices.py). `auto` is
    the NVIDIA card of this machine, or else its CPU."""
    usd_per_hour: Annotated[float, Field(ge=0)] = 0.0
    """Price of this machine in US dollars, for a plan's forecast and `--max-usd`."""
    engine: EngineOptions = EngineOptions()
    engines: Engines = Engines()
    training: Launch = Launch()
    trackers: tuple[Literal["tensorboard", "trackio", "wandb", "mlflow"], ...] = ()
    """Who is told each training's losses, beside ``metrics.jsonl``; nobody unless named. Keys are the trackers' own."""

    @model_validator(mode="after")
    def _runs_own_models(self) -> "Resources":
        if self.engine.kind == "openai_http":
            raise ValueError(
                "engine: 'openai_http' asks a server's own model, and the held-out loss is of this run's; "
                "give it under engines.augment, engines.score or engines.compare"
            )
        return self

    @model_validator(mode="after")
    def _fits_the_executor(self) -> "Resources":
        if self.executor == "local" and (self.address or self.gpus_per_worker is not None or self.cpus_per_worker != 1):
            raise ValueError("address, cpus_per_worker and gpus_per_worker are of executor: ray")
        if self.executor == "ray" and "vllm_server" in {
            self.engine_for(role).kind for role in ("", "augment", "score")
        }:
            raise ValueError(
                "engine: 'vllm_server' can be reached from its own machine alone, and executor: ray works on others; use "
                "transformers, or a server of your own with openai_http"
            )
        return self

    @property
    def priced(self) -> bool:
        """Tell whether anything has a price."""
        return self.usd_per_hour > 0 or any(self.engine_for(role).priced for role in ("augment", "score"))

    def engine_for(self, role: str) -> EngineOptions:
        """Return the engine of a role, "augment", "score", "compare", "answer" or "loss", with its dtype decided."""
        engine: EngineOptions = getattr(self.engines, role, None) or self.engine
        if engine.dtype != "auto":
            return engine
        return engine.model_copy(update={"dtype": "float32" if role == "loss" else "bfloat16"})
