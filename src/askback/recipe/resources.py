"""How a recipe is run."""

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from askback.recipe.base import FilePath, Options
from askback.recipe.names import EngineName


class EngineOptions(Options):
    """The engine that runs a model to write, rewrite, score and evaluate."""

    kind: EngineName = "transformers"
    """`transformers` runs the run's models in this process, `vllm_server` in a vLLM it starts and stops (on a Ray cluster,
    one for each worker); `openai_http` asks a server's own model, so where models are trained it is for the roles under
    `engines` alone; `scripted` has no model."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """`auto` is float32 to measure losses, else bfloat16; of a trained model, bfloat16 is the form that training rounded
    stochastically. `bfloat16` is for a model that is too large to measure its loss in float32. Where the machine does not
    multiply bfloat16 itself, the embedded engine reckons with the same weights in float32."""
    batch_tokens: Annotated[int, Field(ge=1)] | None = None
    """Only `transformers`: tokens in one batch, with what padding there is. By default 65,536 on a GPU; on a CPU 1,024 to
    read prompts, and 8,192 to 32,768 to sample, as many as 1 GiB of keys and values holds."""
    url: str = ""
    """Only `openai_http`: address of the server, as in http://host:8000/v1."""
    model: str = ""
    """Name of the model on the server; "" takes the server's model, if it has exactly one."""
    api: Literal["auto", "chat", "completions"] = "auto"
    """`auto` is completions where there is a `tokenizer`, else chat."""
    tokenizer: FilePath = ""
    """Folder of the checkpoint that the server runs, if it is on this machine: prompts are then rendered here and sent as
    tokens."""
    api_key_env: str = ""
    """NAME of the environment variable that holds the server's key. The key itself is written nowhere."""
    usd_per_million_prompt_tokens: Annotated[float, Field(ge=0)] = 0.0
    """Only `openai_http`: the server's price of prompt tokens in US dollars, for a plan's forecast and `--max-usd`; it
    alters no result."""
    usd_per_million_output_tokens: Annotated[float, Field(ge=0)] = 0.0
    """The same, of tokens that the model writes."""
    batch_discount: Annotated[float, Field(ge=0, le=1)] = 0.0
    """By how much cheaper the server's batch API is, as in 0.5; `askback preview` shows the cost at these prices too."""
    concurrency: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Largest number of requests in flight per worker; the actual number adapts to the server. By default 32, and with
    `vllm_server` on GPUs as many as it runs at once."""
    timeout_s: Annotated[float, Field(gt=0)] = 120.0
    """Seconds for one request, from sending it to the last byte of its answer."""
    retries: Annotated[int, Field(ge=0)] = 6
    """Number of retries after a transient fault, with growing pauses (half a minute in all). Rate limits (429) do not
    count."""
    leave_out: tuple[Literal["seed", "top_p", "temperature", "logprobs"], ...] = ()
    """Parameters that the server refuses, and that are not sent. Without `logprobs` a score is read from text; without the
    others the server samples by its own defaults, and a repeated request may give another answer."""
    accept_refusals: tuple[Literal[200, 400, 403, 413, 422, 451], ...] = ()
    """HTTP statuses with which the server refuses the content of a record, as a content filter does: such records fail one
    by one, whatever their number. Other refusals in a row, or the refusal of a plain question, stop the run. 200 stands
    for an answer that is withheld or holds no text."""
    max_order_shift: Annotated[float, Field(ge=0)] = 0.02
    """Of a server that scores, also a vLLM of the run: how far an expected level from 1 to 5 may differ when the same
    prompts are asked in another order; a mean log-probability may by a quarter of that, in nats a token. A server that
    differs by more is refused."""
    command: Annotated[tuple[str, ...], Field(min_length=1)] = ("vllm", "serve")
    """Only `vllm_server`: the command that starts it. {model} in it stands for the model's folder, which otherwise is
    appended."""
    arguments: tuple[str, ...] = ()
    """Further arguments of vLLM, such as [--quantization, fp8]. They count as part of the steps that ask a model. What they
    do not say of sequences, tokens of a pass, memory and GPUs is chosen by the model's size and told in step.json. On a CPU
    give --no-enable-chunked-prefill: vLLM 0.32 crashes there when it reads a prompt that has a seed in chunks."""
    ready_s: Annotated[float, Field(gt=0)] = 900.0
    """Seconds within which vLLM must be ready: loading and compiling a large model takes minutes."""

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
                "prices of tokens go with kind 'openai_http'; the price of this machine is resources.usd_per_hour"
            )
        return self

    @property
    def priced(self) -> bool:
        """Whether its tokens cost money."""
        return self.usd_per_million_prompt_tokens + self.usd_per_million_output_tokens > 0


ASKED = ("augment", "score", "rewrite")
"""The roles in which a run may ask a server."""


class Engines(Options):
    """Other engines for single roles, such as a judge behind an API; None takes `Resources.engine`."""

    augment: EngineOptions | None = None
    score: EngineOptions | None = None
    rewrite: EngineOptions | None = None
    """Whom method `back_and_forth` has rewrite the answers; the paper's is a tuned model much larger than those trained. In
    method `reinstruct` it stands in for the rewriter that is trained."""
    compare: EngineOptions | None = None
    """The judge of `askback evaluate`, and of `askback study` where that is given `--judge`."""


class Launch(Options):
    """The devices that a model is trained on. The recipe's batch is divided among them, so its size and rows do not change.
    Two things do: draws of dropout, and, under `exposure: equal`, how many chosen pairs come on top of each batch, which is
    a multiple of the number of processes."""

    processes: Annotated[int, Field(ge=1)] = 1
    """Number of training processes per node, one for each GPU. Several are started by ``accelerate launch``."""
    nodes: Annotated[int, Field(ge=1)] = 1
    """Number of nodes. With several, `askback join` runs on each of the others; all see the run folder under one path."""
    main_address: Annotated[str, Field(pattern=r"^([A-Za-z0-9.-]+:\d{1,5})?$")] = ""
    """HOST:PORT of the node that runs the recipe, to which the others connect; needed with several nodes."""
    strategy: Literal["ddp", "fsdp"] = "ddp"
    """`ddp` holds the whole model on every device; `fsdp` shards weights, gradients and optimiser state over the GPUs."""
    device_map: Literal["auto"] | None = None
    """`auto` spreads the layers of a model that is too large for one GPU over all GPUs of the one process."""

    @property
    def total(self) -> int:
        """Number of processes over all nodes."""
        return self.processes * self.nodes

    @model_validator(mode="after")
    def _goes_together(self) -> "Launch":
        if self.nodes > 1 and not self.main_address:
            raise ValueError("nodes above 1 need main_address, the HOST:PORT of the node that runs the recipe")
        if self.device_map and self.total > 1:
            raise ValueError("device_map is for one process; for several, strategy: fsdp shards the model")
        if self.strategy == "fsdp" and self.total == 1:
            raise ValueError("strategy fsdp shards a model over several processes; give processes or nodes")
        return self


class Resources(Options):
    """How the recipe is run. It changes a result by rounding alone, but for two things: what an engine is (its kind, dtype
    and arguments, or its server, model, api, tokenizer and leave_out) counts as part of the steps that ask it; and see
    `training`."""

    runs: FilePath = "runs"
    """Folder that holds run folders."""
    workers: Annotated[int, Field(ge=1)] = 1
    """Number of worker processes for all steps but trainings; each holds a model, or its requests to a server. With Ray,
    over the whole cluster."""
    executor: Literal["local", "ray"] = "local"
    """Where work is done: `local` in processes on this machine, `ray` on a Ray cluster (askback[ray]). Its nodes have the
    same askback, and see the working directory, the run folder, documents and models under the same paths."""
    address: Annotated[str, Field(pattern=r"^(auto|[A-Za-z0-9_.-]+:\d{1,5})?$")] = ""
    """Only `ray`: HOST:PORT of a running cluster; `auto` for the one this machine belongs to; "" starts one on this
    machine, for this process alone."""
    cpus_per_worker: Annotated[float, Field(gt=0)] = 1.0
    """Only `ray`: number of CPUs that each worker, and each process of a training, takes of its node."""
    gpus_per_worker: Annotated[float, Field(ge=0)] | None = None
    """Only `ray`: number of GPUs that each worker with a model, and each process of a training, takes; by default 1 where
    the cluster has GPUs, else 0."""
    device: Literal[
        "auto", "cpu", "b200", "h200", "h100", "a100", "l40s", "rtx5090", "rtx4090", "rtx3090", "a10", "l4", "mi300x"
    ] = "auto"
    """The device whose known speed and memory a plan reckons with where nothing was measured (plan/machine.py). `auto` is
    the NVIDIA card of this machine, or else its CPU."""
    usd_per_hour: Annotated[float, Field(ge=0)] = 0.0
    """Price of this machine in US dollars, for a plan's forecast and `--max-usd`."""
    engine: EngineOptions = EngineOptions()
    engines: Engines = Engines()
    training: Launch = Launch()
    trackers: tuple[Literal["tensorboard", "trackio", "wandb", "mlflow"], ...] = ()
    """Experiment trackers that receive each training's losses, beside ``metrics.jsonl``. Each reads its key from its own
    environment variable."""

    @model_validator(mode="after")
    def _fits_the_executor(self) -> "Resources":
        if self.executor == "local" and (self.address or self.gpus_per_worker is not None or self.cpus_per_worker != 1):
            raise ValueError("address, cpus_per_worker and gpus_per_worker go with executor: ray")
        return self

    @property
    def priced(self) -> bool:
        """Whether anything has a price."""
        return self.usd_per_hour > 0 or any(self.engine_for(role).priced for role in ASKED)

    def engine_for(self, role: str) -> EngineOptions:
        """Return the engine of a role, with its dtype decided: one of `ASKED`, "compare", "answer" or "loss"."""
        engine: EngineOptions = getattr(self.engines, role, None) or self.engine
        if engine.dtype != "auto":
            return engine
        return engine.model_copy(update={"dtype": "float32" if role == "loss" else "bfloat16"})
