"""Similarity in meaning of answers and references, by a sentence-embedding model (`askback[embed]`).

Weak evidence, as ROUGE-L is: it measures whether the topics agree, not whether an answer is right or good.
"""

import math
import statistics
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Never

from askback.engines.worker_context import WorkerContext
from askback.errors import InputError, Interrupted, MissingExtra
from askback.evaluate.options import Embedding
from askback.execution.identity import file_fingerprint, recorded
from askback.execution.outcome import Counts
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.models import foreign_code
from askback.records import Answer, EvalPrompt

BATCH = 32
MARK = "modules.json"
"""File by which a folder of sentence-transformers is recognised."""


def source(options: Embedding) -> dict[str, str]:
    """Return a fingerprint of the model's files."""
    files = sorted(path for path in model_folder(options.model).rglob("*") if path.is_file())
    return {options.model: file_fingerprint(*files)}


def model_folder(name: str) -> Path:
    """Return the folder of a sentence-embedding model: `name` itself, or the one inside a package of that name.

    Raises:
        InputError: there is none.
    """
    folder = Path(name).expanduser()
    if (folder / MARK).is_file():
        return folder
    package = find_spec(name) if name.isidentifier() else None
    places = package.submodule_search_locations if package else None
    for place in places or ():
        if found := sorted(Path(place).rglob(MARK)):
            return found[0].parent
    raise InputError(
        f"{name}: no sentence-embedding model there; give a folder that holds one ({MARK} is in it), or the name of an "
        "installed package that does"
    )


@recorded(version=1, sources=source)
def compare_meanings(
    step: Step, options: Embedding, *, prompts: Records[EvalPrompt], answers: Records[Answer]
) -> Records[Never]:
    """Compare answers with the references of their prompts by the cosine of their embeddings.

    In `step.json`, metrics: the mean `similarity` with its `standard_error`, over `answers`; and, for comparison,
    `unrelated`, the mean similarity to the reference of the next prompt (None for one answer).

    Raises:
        MissingExtra: sentence-transformers is not installed.
        InputError: there is no such model.
    """
    if find_spec("sentence_transformers") is None:
        raise MissingExtra("sentence-transformers", "embed", "Similarity of meaning")
    references = {one.id: one.reference for one in prompts if one.reference.strip()}
    pairs = [(one.output, references[one.example_id]) for one in answers if one.example_id in references]
    counts = {"answers": Counts(len(answers), len(pairs), len(answers) - len(pairs))}
    work = partial(cosines, str(model_folder(options.model)))
    ((own, others),) = step.alone(work, [pairs], "texts", 2 * len(pairs), processes=1)
    error = statistics.stdev(own) / math.sqrt(len(own)) if len(own) > 1 else None
    metrics = {
        "answers": len(own),
        "similarity": statistics.fmean(own) if own else None,
        "standard_error": error,
        "unrelated": statistics.fmean(others) if others else None,
    }
    return step.measured(counts, metrics)


def cosines(folder: str, worker: WorkerContext, pairs: Sequence[tuple[str, str]]) -> tuple[list[float], list[float]]:
    """In a worker process: return the cosine of each (answer, reference), and of each answer with the next reference.

    The model reads the beginning of a text, up to its own limit.
    """
    import numpy as np
    from sentence_transformers import SentenceTransformer

    foreign_code.check_embedder(Path(folder))
    model = SentenceTransformer(folder, local_files_only=True, trust_remote_code=False)
    texts = [text for pair in pairs for text in pair]
    rows = []
    for start in range(0, len(texts), BATCH):
        if worker.stopping():
            raise Interrupted("stopped; the similarities begin anew with the same command.")
        batch = texts[start : start + BATCH]
        rows += list(model.encode(batch, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False))
        worker.report(len(batch))
    answers, references = np.array(rows[::2]), np.array(rows[1::2])
    if not len(answers):
        return [], []
    own = (answers * references).sum(axis=1)
    others = (answers * np.roll(references, -1, axis=0)).sum(axis=1) if len(answers) > 1 else []
    return [float(value) for value in own], [float(value) for value in others]
