"""What the data is worth: sets × sizes × training seeds of one run, as recorded steps in its folder `study`.

A model is trained on each set, cut to each size, from the base model, anew for each training seed. Sets beside the seed
have M_0's very batches, with the added examples on top; sets alone have the steps that follow from their size. So sets of
one size are compared at equal steps (method.md 1.5, 1.9). Each model is measured on the held-out pairs of the seed, on the
pairs of documents that were set aside, on further files, and by a judge if there is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from askback.errors import InputError, RecipeError
from askback.evaluate.answers import held_out_prompts, read_prompts, write_answers
from askback.evaluate.loss import measure_loss, measure_unseen
from askback.evaluate.options import Answering, HeldOutPrompts, Judging, PromptFile
from askback.evaluate.pairwise import compare, win_rate
from askback.execution.budget import Budget
from askback.execution.identity import Model
from askback.execution.on_disk import reading, step_record
from askback.execution.progress import Progress, duration
from askback.execution.run import Run
from askback.execution.shards import Records, write_json
from askback.methods import names
from askback.models import is_remote
from askback.recipe import EngineOptions, Training
from askback.records import EvalPrompt, Example, Loss
from askback.studies.comparisons import WIN_RATE, Arm, Result, comparisons, summary
from askback.studies.judging import asked_of, judging
from askback.studies.run_folder import RunFolder, look, side_by_side
from askback.studies.sets import BESIDE, M0, check_set, draw_of, file_of, pairs_of
from askback.studies.sides import DOCUMENTS, HELD_OUT, labels, title
from askback.train.steps import train_forward
from askback.train.training_rows import schedule

FOLDER = "study"
"""The study's folder, in that of the run."""
DEFAULT = ("seed+curated", "seed+random", "seed+swapped")


@dataclass(frozen=True)
class Study:
    """The options of a study. `sets` are as in `set_of`, perhaps after BESIDE; `sizes` are of the part that is not the
    whole seed, by default that of the run's data; `contrasts` are (set, against) in place of CLAIMS."""

    sets: tuple[str, ...] = DEFAULT
    sizes: tuple[int, ...] = ()
    seeds: int = 3
    """Number of trainings of each set and size, each with another random seed."""
    contrasts: tuple[tuple[str, str], ...] = ()
    pairs: tuple[str, ...] = ()
    """Files of pairs that people wrote, as FILE or FORMAT:FILE, to measure on too."""
    steps: int | None = None
    """Optimiser steps of each training; by default the recipe's, or else the paper's for the size."""
    judge: str = ""
    prompts: str = "held-out"
    limit: int | None = None
    """Largest number of prompts of the win rate."""
    judge_engine: EngineOptions | None = None
    """As `Questions.judge_engine`."""

    @property
    def asks_judge(self) -> bool:
        """Whether win rates are measured."""
        return bool(self.judge or self.judge_engine)


def study(
    folder: Path, wanted: Study, progress: Progress | None = None, budget: Budget | None = None
) -> dict[str, Any]:
    """Train and measure every set at every size with every seed; return what is also in ``study/summary.json``.

    The summary is written after each seed, so that a study that is stopped has the figures of those before.

    Raises:
        RecipeError: a set, size or number that is none.
        InputError: a set is not made yet, or has fewer examples than a size; a file or the judge is not there.
        BudgetReached: a limit is reached; the same call goes on.
    """
    made = look(folder)
    arms = arms_of(wanted, made)
    comparisons(arms, wanted.contrasts)
    results: list[dict[Arm, Result]] = []
    found: dict[str, Any] = {}
    for number in range(wanted.seeds):
        with made.inside(FOLDER, progress, wanted.judge_engine, made.file.recipe.random_seed + number, budget) as run:
            if not number:  # what is wrong is said before anything is trained
                _check(arms, wanted, made, run)
            results.append({arm: _result(arm, wanted, made, run) for arm in arms})
            found = summary(results, wanted.contrasts, wanted.judge)
            write_json(run.folder / "summary.json", found)
    return found


def arms_of(wanted: Study, made: RunFolder) -> list[Arm]:
    """Return the arms, M_0 first where a set is beside the seed.

    Raises:
        RecipeError: a size or number of seeds that is none, or two sets of one name.
        InputError: the run has chosen no pairs, and no sizes are given.
    """
    if wanted.sizes and min(wanted.sizes) < 1:
        raise RecipeError("--sizes: give one size or more, as in --sizes 100,200,400")
    if wanted.seeds < 1:
        raise RecipeError("--seeds: give 1 or more; 3 and more tell how far trainings differ")
    if not wanted.sets:
        raise RecipeError(f"--sets: give one set or more, as in --sets {','.join(DEFAULT)}")
    sizes = wanted.sizes
    if not sizes:
        if made.chosen is None:
            raise InputError(f"{made.folder}: no pairs are chosen yet; finish the run, or give --sizes")
        sizes = (len(made.records(made.chosen)),)
    called = [Arm(name, 0).label for name in {M0, *wanted.sets}]
    if twice := next((label for label in called if called.count(label) > 1), ""):
        raise RecipeError(
            f"--sets: two sets would be called {twice} in the results, where files are known by their names; rename one"
        )
    arms = [Arm(name, size) for name in dict.fromkeys(wanted.sets) if name != M0 for size in sorted(set(sizes))]
    beside = M0 in wanted.sets or any(arm.beside for arm in arms)
    return [Arm(M0, 0), *arms] if beside else arms


def planned(folder: Path, wanted: Study) -> str:
    """Return, in words, what a study will train and how long it takes, by the run's own trainings and measurements.

    Raises:
        RecipeError, InputError: as `study`.
    """
    made = look(folder)
    arms = arms_of(wanted, made)
    comparisons(arms, wanted.contrasts)
    with TemporaryDirectory() as aside, made.inside(FOLDER, None, wanted.judge_engine, runs=Path(aside)) as run:
        _check(arms, wanted, made, run, fetched=False)
    count = len(arms) * wanted.seeds
    words = f"{count:,} trainings: {len(arms)} sets and sizes, {wanted.seeds} seeds"
    if wanted.asks_judge:
        engine = wanted.judge_engine or made.file.resources.engine_for("compare")
        asked = asked_of(wanted.prompts, wanted.limit, made)
        words += f"; {judging(asked, count, Answering().max_new_tokens, engine, made.file.resources)}"
    if M0 not in made.steps:
        return words
    record = step_record(made.folder / M0)
    with reading(made.folder / M0 / "step.json"):
        steps = int(record["metrics"]["steps"])
        each = float(record["seconds"]) / steps
    same = 0 if wanted.steps else sum(bool(_own(arm, made)) for arm in arms)
    words += f", {same} of them made already, as the run's own models" if same else ""
    measuring = [step for step in (names.loss(M0), names.unseen(M0)) if step in made.steps]
    seconds = sum(_options(arm, wanted, made.file.recipe.training).steps or steps for arm in arms) * each * wanted.seeds
    seconds += sum(float(step_record(made.folder / step)["seconds"]) for step in measuring) * count
    return f"{words}; about {duration(seconds * (1 - same / count))} at the rate of the run's own M_0"


def _check(arms: Sequence[Arm], wanted: Study, made: RunFolder, run: Run, fetched: bool = True) -> None:
    """Check that every set, file and model that a study names is there, and that the sets have the sizes.

    Args:
        fetched: whether a judge that is not on this machine is fetched.
    """
    for name, size in {arm.set: arm.size for arm in arms if arm.size}.items():  # the last size is the largest
        check_set(name, size, made, run)
    for name in wanted.pairs:
        _people(name, made, run)
    if wanted.asks_judge:
        _prompts(wanted, made, run)
        if fetched or not is_remote(wanted.judge):
            _judge(wanted, made, run)


def _people(name: str, made: RunFolder, run: Run) -> Records[Example]:
    format, path = file_of(name)
    return pairs_of(path, format, "held-out", made, run)


def _prompts(wanted: Study, made: RunFolder, run: Run) -> Records[EvalPrompt]:
    if wanted.prompts == HELD_OUT:
        asked = HeldOutPrompts(limit=wanted.limit)
        return side_by_side(run, "prompts", held_out_prompts, asked, examples=made.records(names.SEED))
    return side_by_side(run, "prompts", read_prompts, PromptFile(path=wanted.prompts, limit=wanted.limit))


def _judge(wanted: Study, made: RunFolder, run: Run) -> Model:
    return made.judge(wanted.judge, run.file.resources.engine_for("compare"))


def _result(arm: Arm, wanted: Study, made: RunFolder, run: Run) -> Result:
    recipe = made.file.recipe
    human = [names.SEED, *([names.NATURAL] if recipe.natural.use == "seed" else [])]
    part = [draw_of(arm.set, arm.size, made, run)] if arm.size else []
    examples: list[Records[Any]] = part
    if arm.beside:  # in the order of the page, so that the run's own models are known by their inputs
        # Lessons may be there for the scorer `probe` alone, and then no M_t learns of them.
        taught = names.LESSONS if recipe.judge.is_taught else ()
        seed, lessons = ([made.records(step) for step in steps if step in made.steps] for steps in (human, taught))
        examples = [*(seed * recipe.seed_copies if part else seed), *part, *lessons]
    options = _options(arm, wanted, recipe.training)
    own = _own(arm, made)
    model = made.same_step(run, own, train_forward, options, base=made.base, examples=examples)
    if model is None:
        own = ""
        model = side_by_side(run, f"train-{arm.stem}", train_forward, options, base=made.base, examples=examples)
    losses = _losses(arm, own, model, wanted, made, run)
    return Result(losses, _won(arm, model, wanted, made, run) if wanted.asks_judge else {})


def _own(arm: Arm, made: RunFolder) -> str:
    """Return the name of the run's own model of an arm, which its first training may be; "" if it has none.

    After the first round a model is made with the one before at hand, so its step is never the same.
    """
    if arm.set == f"{BESIDE}curated" and made.chosen == names.choice(1):
        return names.model(1) if arm.size == len(made.records(made.chosen)) else ""
    return M0 if arm.set == M0 else ""


def _options(arm: Arm, wanted: Study, training: Training) -> Training:
    """Return how an arm is trained: beside the seed as the recipe says, alone by its size, so that steps are equal."""
    if arm.beside:
        return training.model_copy(update={"steps": wanted.steps or training.steps})
    plan = schedule(training, arm.size)
    return training.model_copy(update={"steps": wanted.steps or plan.steps, "batch_size": plan.batch_size})


def _losses(arm: Arm, own: str, model: Model, wanted: Study, made: RunFolder, run: Run) -> dict[str, list[Loss]]:
    """Return a model's losses, under each pair's own tag; those of the run where the model is its model `own`."""
    options = made.file.recipe.evaluate.measuring.model_copy(update={"tags": []})
    sides = {title(HELD_OUT): (names.SEED, names.loss, measure_loss)}
    if names.UNSEEN in made.steps:
        sides[DOCUMENTS] = names.UNSEEN, names.unseen, measure_unseen
    found = dict[str, list[Loss]]()
    for side, (step, on, function) in sides.items():
        pairs = made.records(step)
        losses = made.same_step(run, on(own), function, options, model=model, examples=pairs)
        if losses is None:
            losses = side_by_side(run, on(arm.stem), function, options, model=model, examples=pairs)
        found[side] = list(losses)
    for one in made.file.recipe.evaluate.sets:
        if (step := names.human_set(one.name)) in made.steps:
            people, own = made.records(step), f"set-{one.name}-{arm.stem}"
            found[one.name] = list(side_by_side(run, own, measure_loss, options, model=model, examples=people))
    called = labels({name: file_of(name)[1] for name in wanted.pairs}, found)
    for name in wanted.pairs:
        pairs, stem = _people(name, made, run), f"loss-{file_of(name)[1].stem}-{arm.stem}"
        found[called[name]] = list(side_by_side(run, stem, measure_loss, options, model=model, examples=pairs))
    return {measure: losses for measure, losses in found.items() if losses}


def _won(arm: Arm, model: Model, wanted: Study, made: RunFolder, run: Run) -> dict[str, float | None]:
    """Return the win rate of a model against the run's M_0."""
    prompts, judge = _prompts(wanted, made, run), _judge(wanted, made, run)
    best = made.quality(made.models[-1]) if arm.set.removeprefix(BESIDE) == "curated" else ""
    options = Answering(quality=best)
    answers = side_by_side(run, f"answers-{arm.stem}", write_answers, options, model=model, prompts=prompts)
    against = side_by_side(run, "answers-m0", write_answers, Answering(), model=made.model(M0), prompts=prompts)
    compared = side_by_side(
        *(run, f"compare-{arm.stem}", compare, Judging()),
        model=judge,
        prompts=prompts,
        answers=answers,
        baseline=against,
    )
    won = win_rate(compared)
    controlled = won.length_controlled.win_rate if won.length_controlled else None
    return {WIN_RATE: won.total.win_rate, "standard_error": won.total.standard_error, "length_controlled": controlled}
