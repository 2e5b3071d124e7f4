"""What makes a step the same step: its identity, and the refusal of a folder that was made under another one.

An identity holds the function and its version, the options, the prompts, the random seed, what the engine is where a
model is asked, fingerprints of outside files, and the fingerprints of the inputs, each of which is the hash of an
identity in turn. So the whole chain is known before anything runs. How a step is run otherwise (workers, batch sizes) is
no part of it; it changes numbers by floating-point rounding at most.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from askback.engines import kind_of
from askback.errors import Drift, InputError
from askback.execution.on_disk import IdentityRecord, read_json
from askback.execution.shards import Records
from askback.inputs.local_files import Stamp, open_file, stamp
from askback.models import base_of, bfloat16_form
from askback.recipe import EngineOptions, Options, Recipe, RecipeFile, Resources
from askback.recipe.variables import hide_in, marks

if TYPE_CHECKING:
    from askback.execution.forecast import Forecast, ForecastContext
    from askback.execution.step import Step

MODEL = "model"
"""The folder of a trained checkpoint, in that of its step; its bfloat16 form is beside it."""


@dataclass(frozen=True)
class Model:
    """A checkpoint: a handle, small enough to hand to a worker process."""

    path: Path
    id: str
    fingerprint: str
    chat_template: str = ""
    """Path of a Jinja chat template; only for a base model that has none of its own."""
    bfloat16: Path | None = None
    """The folder of its bfloat16 form (train/rounding.py), of a model that was trained here; None where there is none."""
    steps: frozenset[str] = frozenset()

    def read_in(self, dtype: str) -> "Model":
        """Return the handle of what an engine of this dtype is to read: of bfloat16, that form, if there is one."""
        if dtype == "float32" or self.bfloat16 is None:
            return self
        mark = fingerprint({"model": self.fingerprint, "form": "bfloat16"})
        return replace(self, path=self.bfloat16, bfloat16=None, fingerprint=mark)


NO_MODEL = Model(Path(), "none", "none")
"""The base model of a recipe that needs none."""

Input = Records[Any] | Model | Sequence[Records[Any]] | Sequence[Model]
Wanted = TypeVar("Wanted", bound=Options)
"""The options of a step function."""
P = ParamSpec("P")
"""Its inputs, by name."""
T = TypeVar("T", bound=Records[Any] | Model)
"""Its output."""


@dataclass(eq=False)
class StepFunction(Generic[Wanted, P, T]):
    """A function that makes a step, called as it is written, with what it declares about itself; see `recorded`."""

    function: "Callable[Concatenate[Step, Wanted, P], T]"
    version: int
    output: str
    engine: str
    prompts: tuple[str, ...] | Callable[[Any], dict[str, str]]
    sources: Callable[[Any], dict[str, str]]
    check: Callable[[Any, Recipe, str, frozenset[str]], list[str]]
    forecast: "Callable[[Any, ForecastContext], Forecast]"
    may_be_empty: bool

    def __post_init__(self) -> None:
        update_wrapper(self, self.function)
        self.name = self.function.__name__

    def __call__(self, step: "Step", options: Wanted, *args: P.args, **inputs: P.kwargs) -> T:
        return self.function(step, options, *args, **inputs)

    def make(self, step: "Step", options: Wanted, inputs: Mapping[str, Input]) -> T:
        """Call it with inputs whose types are not known here."""
        function: Callable[..., T] = self.function
        return function(step, options, **inputs)


def recorded(
    version: int,
    output: str = "records",
    engine: str = "",
    prompts: tuple[str, ...] | Callable[[Any], dict[str, str]] = (),
    sources: Callable[[Any], dict[str, str]] = lambda options: {},
    check: Callable[[Any, Recipe, str, frozenset[str]], list[str]] = lambda options, recipe, engine, calls: [],
    forecast: "Callable[[Any, ForecastContext], Forecast]" = lambda options, context: context.unchanged(),
    may_be_empty: bool = False,
) -> "Callable[[Callable[Concatenate[Step, Wanted, P], T]], StepFunction[Wanted, P, T]]":
    """Declare a step function.

    Args:
        version: bump it when the same options and inputs would give another result.
        output: "records" or "model".
        engine: the role in which it asks its input `model` ("augment", "score", "rewrite", "compare", "answer", "loss");
            the engine of that role then counts.
        prompts: names of the prompts it uses, or from its options, their ids by name; their text is part of its identity.
        sources: from its options, the outside inputs: what it reads → a fingerprint of that.
        check: from its options, the recipe, and the name of its engine with the calls that it answers: what the step has to
            do without there, a sentence each; raises a RecipeError where it cannot.
        forecast: from its options and what is known by then, what it will take and make (execution/forecast.py); by default
            a record of each that enters.
        may_be_empty: whether a run goes on where it keeps no record.
    """

    def declare(function: "Callable[Concatenate[Step, Wanted, P], T]") -> StepFunction[Wanted, P, T]:
        return StepFunction(function, version, output, engine, prompts, sources, check, forecast, may_be_empty)

    return declare


def given(inputs: Mapping[str, object]) -> dict[str, Input]:
    """Return a step's inputs without those that are None."""
    return {name: cast(Input, value) for name, value in inputs.items() if value is not None}


def fingerprint(identity: dict[str, Any]) -> str:
    """Return the hash of an identity."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def identify(
    name: str, function: StepFunction[Wanted, P, T], options: Wanted, inputs: dict[str, Input], file: RecipeFile
) -> dict[str, Any]:
    """Return what makes this step this step."""
    from askback.prompts import prompt_id

    own = function.prompts
    used = own(options) if callable(own) else {prompt: prompt_id(prompt) for prompt in own}
    identity: dict[str, Any] = {
        "step": name,
        "function": function.name,
        "version": function.version,
        "options": options.model_dump(mode="json"),
        "random_seed": file.recipe.random_seed,
        "prompts": used,
        "sources": function.sources(options),
        "inputs": {key: _fingerprints(value) for key, value in inputs.items()},
    }
    if function.engine:
        engine = file.resources.engine_for(function.engine).model_dump(mode="json")
        identity["engine"] = {name: engine[name] for name in kind_of(engine["kind"]).counts}
        if mark := _tokenizer_mark(engine["tokenizer"]):
            identity["engine"]["tokenizer_files"] = mark
    # A value of the environment that the recipe names counts by its hash, and is written nowhere.
    variables = marks(json.dumps(identity, ensure_ascii=False))
    hidden: dict[str, Any] = hide_in(identity)
    return hidden | ({"variables": variables} if variables else {})


def _tokenizer_mark(folder: str) -> str:
    """Return a hash of what prompts are rendered with where a server's tokenizer is here, "" if there is none."""
    place = Path(folder).expanduser()
    patterns = ("tokenizer*", "chat_template*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt")
    files = {file for pattern in patterns for file in place.glob(pattern) if file.is_file()} if folder else set()
    return file_fingerprint(*sorted(files)) if files else ""


def asked(function: StepFunction[Wanted, P, T], inputs: dict[str, Input], resources: Resources) -> dict[str, Input]:
    """Return a step's inputs with the model that it really asks: the form that its engine reads, or a server's own model.

    Of a server's own, the step does not depend on the model that this run trained for it, and its records name the one
    that answered.
    """
    if not function.engine:
        return inputs
    engine = resources.engine_for(function.engine)
    if (served := server_model(engine)) is not None:
        return inputs | {"model": served}
    model = inputs["model"]
    assert isinstance(model, Model)
    return inputs | {"model": model.read_in(engine.dtype)}


def server_model(engine: EngineOptions) -> Model | None:
    """Return the model that a server answers with, None of an engine that holds a model of the run."""
    if not kind_of(engine.kind).served:
        return None
    return Model(Path(), engine.model or engine.url, f"{engine.url} {engine.model}")


def _fingerprints(value: Input) -> Any:
    return value.fingerprint if isinstance(value, Records | Model) else [records.fingerprint for records in value]


def ancestors(inputs: dict[str, Input]) -> frozenset[str]:
    """Return the names of every step these inputs came through."""
    handles = [h for value in inputs.values() for h in ([value] if isinstance(value, Records | Model) else value)]
    return frozenset().union(*(handle.steps for handle in handles))


WHOLE = 256 * 2**20
"""Bytes of files that are hashed whole; of more, blocks spread evenly over each file, so that a crawl of terabytes
is fingerprinted in seconds. There, an edit that keeps the size and misses every block goes unseen."""
BLOCKS, BLOCK = 64, 16 * 1024


def file_fingerprint(*paths: Path) -> str:
    """Return a hash of names, sizes and content of files; of one that has not changed, it is made once in a process.

    Raises:
        InputError: a file cannot be read, or changes meanwhile.
    """
    try:
        marks = tuple(map(stamp, paths))
        found = _hashed(paths, marks)
        changed = [path for path, mark in zip(paths, marks, strict=True) if stamp(path) != mark]
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror or error}") from error
    if changed:
        raise InputError(f"{changed[0]}: changed while it was read. Run the same command again when it is whole")
    return found


@lru_cache(maxsize=4096)
def _hashed(paths: tuple[Path, ...], marks: tuple[Stamp, ...]) -> str:
    digest = hashlib.sha256()
    sizes = [size for size, _, _ in marks]
    whole = sum(sizes) <= WHOLE
    blocks = max(2, BLOCKS // max(1, len(paths)))
    for path, size in zip(paths, sizes, strict=True):
        digest.update(f"{path.name} {size} ".encode("utf-8", "surrogateescape"))
        with open_file(path) as file:
            for number in range(1 if whole else blocks):
                file.seek(0 if whole else max(0, size - BLOCK) * number // (blocks - 1))
                digest.update(file.read(size if whole else BLOCK))
    return f"{len(paths)} file(s) {digest.hexdigest()[:16]}"


def base_model(name: str, chat_template: str, path: Path) -> Model:
    """Return the handle of a base model, known by its files; a builtin by what it is made from, a hub model by name.

    Args:
        path: where it is; for a builtin or hub model that is not fetched yet, anything.
    """
    from askback.models.builtin import mark_of
    from askback.models.chat_template import template_path

    folder, form = Path(name).expanduser(), None
    template = (template_path(chat_template),) if chat_template else ()
    if name.startswith("builtin:"):
        mark = mark_of(name)
    elif folder.is_dir():
        form = bfloat16_form(folder.absolute()) if bfloat16_form(folder.absolute()).is_dir() else None
        mark = file_fingerprint(*_files(folder), *(_files(form) if form else ()))
        if (folder / "adapter_config.json").is_file():
            # Its base has the weights, and mostly the tokenizer and the chat template.
            mark += f" on {base_model(str(base := base_of(folder)), '', base).fingerprint}"
    else:
        mark = f"hub {name}"
    mark = f"{mark} {file_fingerprint(*template) if template else ''}".strip()
    return Model(path, name, mark, chat_template, form)


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*") if file.is_file())


def trained_model(folder: Path, name: str, mark: str, steps: frozenset[str] = frozenset()) -> Model:
    """Return the handle of what a training leaves in the folder of its step: a checkpoint in float32, and in bfloat16."""
    checkpoint = folder / MODEL
    return Model(checkpoint, f"{name}-{mark[:8]}", mark, "", bfloat16_form(checkpoint), steps)


def handle(
    folder: Path, name: str, function: StepFunction[Wanted, P, T], identity: dict[str, Any], steps: frozenset[str]
) -> T:
    """Return the handle of a step's output, whether or not it is made yet."""
    mark = fingerprint(identity)
    through = steps | {name}
    made: Any = (
        trained_model(folder, name, mark, through) if function.output == "model" else Records(folder, mark, through)
    )
    found: T = made
    return found


def difference(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return, a line each, where two identities differ, as ``options.min_chars: 600 → 300``."""
    lines = []
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            lines += [f"{key}.{line}" for line in difference(old, new)]
        elif old != new:
            lines.append(f"{key}: {old!r} → {new!r}")
    return lines


def check_drift(folder: Path, name: str, identity: dict[str, Any]) -> None:
    """Refuse a folder that holds work done under another identity.

    Raises:
        Drift: with what differs, and what to do.
    """
    if not holds_work(folder):
        return
    before = read_json(folder / "plan.json", IdentityRecord)["identity"]
    if changes := difference(before, identity):
        raise Drift(
            f"{folder}: step '{name}' was made with something else:\n  "
            + "\n  ".join(changes)
            + f"\nUndo the change, or make it again with --redo {name}, or start a run of another name and take over "
            "what is still right with --from."
        )


def check_sources(folder: Path, found: dict[str, str]) -> None:
    """Refuse to go on with a step whose outside files are no longer what they were when it was begun.

    Args:
        folder: of the step.
        found: their fingerprints, of now.

    Raises:
        Drift: one is another.
    """
    before = read_json(folder / "plan.json", IdentityRecord)["identity"].get("sources", {})
    if changes := difference(before, hide_in(found)):
        raise Drift(
            f"{folder}: changed while the step was made: {'; '.join(changes)}. Put it back as it was, or make the step "
            f"again with --redo {folder.name}"
        )


def holds_work(folder: Path) -> bool:
    """Tell whether a step's folder has anything in it that would be lost or mixed up."""
    names = ("step.json", "kept-*", "rejected-*", "checkpoints", f"{MODEL}*")
    return (folder / "plan.json").exists() and any(next(folder.glob(name), None) for name in names)
