"""Servers tried before a run: asked what the run will ask them, at its length, through the steps' own code."""

from functools import partial
from pathlib import Path

from askback.augment.prompted import ask_writer
from askback.augment.write import Ask, Writing, ask_backward, write_piece
from askback.curate.score import score_piece
from askback.engines import Offer, kind_of
from askback.engines.http.blame import hint
from askback.engines.order import check_order
from askback.engines.protocol import Server
from askback.engines.worker_context import WorkerContext
from askback.errors import InputError
from askback.evaluate.options import Judging
from askback.evaluate.pairwise import compare_piece
from askback.execution.identity import Model
from askback.recipe import Augment, EngineOptions, Prompted, RecipeFile, Resources
from askback.recipe.resources import ASKED
from askback.records import UNSCORED, Answer, Candidate, EvalPrompt, Example, Message, Provenance, Segment, exchange
from askback.rewrite.answer import ANSWERING
from askback.rewrite.write import REWRITING, rewrite_piece

DECIDING = ("score", "compare")
"""Roles whose probabilities decide something."""
CHARS_PER_TOKEN = 4
SENTENCE = "The keeper of the harbour writes down each evening which boats came in, and what they carried. "
TRIAL = Provenance("trial", language="en")
ASKED_ABOUT = ("What does the keeper of a harbour write down each evening?", "How is a harbour's day book kept?")


def ask_servers(file: RecipeFile, roles: tuple[str, ...] = ASKED) -> list[Offer]:
    """Ask each server that these roles have a few questions as the run will put them; return what it offers.

    Raises:
        InputError: one cannot be reached, refuses what a run sends, or answers with nothing, in its own words; or the
            probabilities by which something is chosen depend on the order of the prompts.
        RecipeError: a scorer needs what its server does not offer.
    """
    found = []
    for role in roles:
        options = file.resources.engine_for(role)
        if kind_of(options.kind).served:
            worker = WorkerContext()  # a server that was asked before may answer otherwise now
            engine = worker.engine(options, str(Path()))
            assert isinstance(engine, Server)
            why = _tried(role, file, options, worker)
            if why:
                raise InputError(
                    f"engines.{role}: {options.url}: answers a trial as the run will ask it with nothing of use: {why}."
                    f"{hint(why)}"
                )
            order = check_order(engine, worker, options.max_order_shift, options.url) if role in DECIDING else ""
            words = "; ".join(filter(None, (f"{role}: {engine.describe()}", order)))
            found.append(Offer(role, words, engine.calls))
    return found


def _tried(role: str, file: RecipeFile, options: EngineOptions, worker: WorkerContext) -> str:
    """Return why a server gave nothing of use to the step of a role, "" where it gave something."""
    resources = file.resources.model_copy(update={"engine": options})
    model = Model(Path(), options.model or options.url, "")
    trials = {"augment": _augment, "score": _score, "rewrite": _rewrite, "compare": _compare}
    return trials[role](file, resources, model, worker)


def _augment(file: RecipeFile, resources: Resources, model: Model, worker: WorkerContext) -> str:
    recipe = file.recipe
    prompted = isinstance(recipe.backward, Prompted)
    ask: Ask = partial(ask_writer, recipe.random_seed, None) if prompted else ask_backward
    options: Augment = recipe.asking if prompted else recipe.augment
    options = options.model_copy(update={"per_segment": 1})
    most = min(file.recipe.corpus.max_chars, options.max_document_tokens * CHARS_PER_TOKEN)
    segments = [Segment(f"trial {at}", _text(most, asked), [], TRIAL) for at, asked in enumerate(ASKED_ABOUT)]
    made = write_piece(Writing(options, ask), resources, model, recipe.random_seed, worker, segments)
    lost = [one.detail for one in made.dropped if one.rule in ("no-answer", "empty")]
    return lost[0] if len(lost) == len(segments) else ""


def _score(file: RecipeFile, resources: Resources, model: Model, worker: WorkerContext) -> str:
    options = file.recipe.score
    most = min(file.recipe.corpus.max_chars, options.max_output_tokens * CHARS_PER_TOKEN)
    pairs = [
        Candidate(f"trial {at}", exchange(asked, _text(most, asked)), TRIAL, [], "", "", 0)
        for at, asked in enumerate(ASKED_ABOUT)
    ]
    made = score_piece(options, resources, model, file.recipe.random_seed, worker, pairs)
    for scorer in options.scorers:
        own = [one for one in made.kept if one.scorer == scorer]
        if all(one.score is None for one in own):
            return f"{scorer}: {' '.join(own[0].raw).removeprefix(UNSCORED)}"
    return ""


def _rewrite(file: RecipeFile, resources: Resources, model: Model, worker: WorkerContext) -> str:
    options = file.recipe.rewrite.model_copy(update={"retries": 0})
    most = min(file.recipe.corpus.max_chars, options.max_draft_tokens * CHARS_PER_TOKEN)
    pairs = [
        Example(f"trial {at}", exchange(asked, _text(most, asked)), TRIAL, "augmented", "train")
        for at, asked in enumerate(ASKED_ABOUT)
    ]
    way = ANSWERING if file.recipe.method == "reinstruct" else REWRITING
    made = rewrite_piece(way, options, resources, model, file.recipe.random_seed, worker, pairs)
    lost = [one.detail for one in made.dropped if one.rule in ("no-answer", "empty")]
    return lost[0] if len(lost) == len(pairs) else ""


def _compare(file: RecipeFile, resources: Resources, model: Model, worker: WorkerContext) -> str:
    most = Judging().max_output_tokens * CHARS_PER_TOKEN
    first, second = (
        Answer(f"trial {at}", "trial", ASKED_ABOUT[0], _text(most, asked), "", 0, True)
        for at, asked in enumerate(ASKED_ABOUT)
    )
    prompt = EvalPrompt("trial", (Message("user", ASKED_ABOUT[0]),), "", TRIAL)
    made = compare_piece(Judging(), resources, model, ("one", "two"), worker, [(prompt, first, second)])
    return made.kept[0].raw if all(one.preference is None for one in made.kept) else ""


def _text(chars: int, beginning: str) -> str:
    """Return a text of `chars` characters."""
    return f"{beginning} {SENTENCE * (chars // len(SENTENCE) + 1)}"[:chars]
