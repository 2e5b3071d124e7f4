"""The probability that a person would keep the pair, read from a model's hidden states by a linear judge (ours).

Asked in words, a small model tells sound answers apart no better than chance; its hidden states know more. The judge is
taught in a step of its own (curate/linear.py, curate/teach_probe.py), on the states of the model that it is asked of.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askback import owned, prompts
from askback.curate.scorers import Scorer
from askback.engines.protocol import Engine
from askback.errors import InputError, MissingExtra
from askback.inputs.local_files import Stamp, stamp
from askback.recipe import Score
from askback.records import Conversation, Judgement, record_id

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.floating[Any]]

DEPTHS = (0.25, 0.5, 0.75, 1.0)
"""Depths of the model at which states are read."""
WEIGHTS, FIGURES = "probe.safetensors", "probe.json"
"""Files of a taught judge."""


def represented(engine: Engine, pairs: Sequence[Conversation], max_output_tokens: int) -> "list[Numbers]":
    """Return the pooled states of each pair's output, after the prompt of training on augmented pairs."""
    asked = [prompts.forward(pair.messages[:-1], "augmented") for pair in pairs]
    outputs = [engine.truncate(pair.output, max_output_tokens) for pair in pairs]
    return list(engine.represent(asked, outputs, DEPTHS))


@dataclass(frozen=True)
class LinearJudge:
    """A taught judge: the log-odds that a pair is kept are the sum of `weights` times states, plus `bias`."""

    weights: "Numbers"
    bias: float

    def probability(self, states: "Numbers") -> float:
        """Return the probability that a person would keep the pair with these states.

        Raises:
            InputError: the states are of a model of another width.
        """
        import numpy as np

        if states.shape != self.weights.shape:
            raise InputError(
                f"score.probe was taught on a model of width {self.weights.shape[-1]}, and this one's width is "
                f"{states.shape[-1]}; give one that was taught on this model, or leave score.probe out to have it taught"
            )
        odds = float(np.sum(self.weights * states, dtype=np.float64)) + self.bias
        return float(1 / (1 + np.exp(-np.clip(odds, -500, 500))))

    def write(self, folder: Path) -> None:
        """Write the weights into a folder of ours."""
        import numpy as np
        from safetensors.numpy import save_file

        with owned.atomic(folder / WEIGHTS) as temporary:
            save_file({"weights": self.weights.astype(np.float32), "bias": np.array([self.bias])}, temporary)


def read_judge(folder: str) -> LinearJudge:
    """Return the judge of a folder.

    Raises:
        InputError: the folder holds none.
        MissingExtra: safetensors is not installed.
    """
    path = Path(folder).expanduser() / WEIGHTS
    try:
        return _read(path, stamp(path))
    except OSError as error:
        raise InputError(
            f"score.probe {folder}: there is no {WEIGHTS} in it; give the folder of a step that taught one, as "
            "runs/NAME/teach-probe-1"
        ) from error


@lru_cache(maxsize=4)
def _read(path: Path, mark: Stamp) -> LinearJudge:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as error:
        raise MissingExtra("safetensors", "probe", "the scorer 'probe'") from error
    try:
        found = load_file(path)
        return LinearJudge(found["weights"], float(found["bias"][0]))
    except (SafetensorError, KeyError, IndexError) as error:
        raise InputError(f"{path}: is no judge that askback taught: {error}") from error


def judge(
    scorer: Scorer, engine: Engine, model_id: str, options: Score, pairs: Sequence[Conversation], random_seed: int
) -> list[Judgement]:
    """Return the probability that a person would keep each pair, by the judge in the folder `options.probe`.

    Without a folder it is untaught, and says 0.5 of every pair.
    """
    states = represented(engine, pairs, options.max_output_tokens)
    taught = read_judge(options.probe) if options.probe else None
    scores = [taught.probability(one) if taught else 0.5 for one in states]
    prompt_id = prompts.prompt_id("forward")
    return [
        Judgement(
            id=record_id(pair.id, "probe", prompt_id, model_id),
            candidate_id=pair.id,
            scorer="probe",
            score=score,
            distribution=[],
            mass=None,
            raw=[],
            losses=[],
            prompt_id=prompt_id,
            model_id=model_id,
        )
        for pair, score in zip(pairs, scores, strict=True)
    ]


SCORER = Scorer("probe", judge, lowest=0, highest=1, calls=frozenset({"represent"}), needs=("sklearn", "probe"))
