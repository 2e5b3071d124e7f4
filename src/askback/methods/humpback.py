"""Humpback: figure 1 of instruction backtranslation (Li et al., ICLR 2024) as code, top to bottom.

Where the paper's text leaves it open, its figure is followed (method.md 1.2): every M_t is trained from the base model,
never from M_{t-1}; M_{t-1} makes the selection that M_t is trained on; all rounds judge the same candidates.
"""

from collections.abc import Callable
from typing import NamedTuple, Never

from askback.augment.write import write_instructions, write_unseen
from askback.corpus.build import cut_documents, drop_duplicates
from askback.corpus.natural import find_natural
from askback.curate.check import check
from askback.curate.score import score
from askback.curate.select import Before, select
from askback.curate.teach import make_probes, teach_judge
from askback.curate.teach_probe import taught_before, teach_probe
from askback.evaluate.gate import keep_best
from askback.evaluate.loss import measure_beside, measure_loss, measure_unseen
from askback.evaluate.unseen import choose_unseen, rate_unseen, take_unseen
from askback.execution.identity import Model
from askback.execution.run import Steps
from askback.execution.shards import Records
from askback.recipe import Backward, Recipe
from askback.records import Candidate, Example, Judgement, Lesson, Loss, Probe, Segment
from askback.seed.load import load_seed, load_set
from askback.seed.ranked import load_ranked
from askback.train.steps import train_backward, train_forward


class Known(NamedTuple):
    """What a choice among candidates may go by besides them: what people wrote, and the round before."""

    seed: Records[Example]
    probes: Records[Probe] | None
    lessons: list[Records[Lesson]]
    before: Before = ()


Curation = Callable[
    [Recipe, Steps, int, Model, Records[Candidate], Known], tuple[Records[Judgement] | None, Records[Example]]
]
"""Self-curation as a part of a page (`curate`)."""


def humpback(recipe: Recipe, run: Steps, curation: Curation | None = None) -> Model | Records[Example]:
    """Make the whole loop and return its result: the last M_t that passed the gate (evaluate/gate.py).

    Nothing is trained that nobody asks: no M_yx where a server writes the instructions. With ``forward: null`` the chosen
    pairs are the result, judged by the server that scores, or else by the base model.

    Args:
        curation: what makes the pairs that are learnt of the candidates, by default `curate`.
    """
    base, choose = run.base(), curation or curate

    # What people wrote: pairs of instruction x and output y, and documents cut into segments y, some of which a person's
    # header asks for.
    seed = run.step("seed", load_seed, recipe.seed)
    segments = make_corpus(recipe, run)
    natural = (
        run.step("natural", find_natural, recipe.natural, segments=segments, seed=seed)
        if recipe.seeks_natural
        else None
    )
    learnt_as_seed = natural if recipe.natural.use == "seed" else None
    human = [seed, learnt_as_seed] if learnt_as_seed is not None else [seed]

    # Held-out pairs, true and damaged, to try each judge on before it judges a corpus; made before anything is trained.
    probes = run.step("probes", make_probes, recipe.judge.probing(), seed=seed) if recipe.tries_judge else None

    # Self-augmentation: M_yx, taught by the seed in reverse, writes the instruction x that each segment y would answer.
    assert isinstance(recipe.backward, Backward)
    backward = run.server("augment") or run.step("backward", train_backward, recipe.backward, base=base, examples=human)
    candidates = run.step(
        "augment", write_instructions, recipe.augment, model=backward, segments=segments, natural=learnt_as_seed
    )

    if recipe.forward is None:
        known = Known(seed, probes, make_lessons(recipe, run, seed))
        return choose(recipe, run, 1, run.server("score") or base, candidates, known)[-1]

    # Every model is measured on both sides, held-out pairs of the seed and pairs of documents that are set aside; and,
    # beside them, on pairs of these documents that do not count and on other people's pairs.
    beside = [run.step(f"set-{one.name}", load_set, one, taught=[*human, candidates]) for one in recipe.evaluate.sets]
    unseen, how = None, recipe.evaluate.measuring
    if recipe.corpus.held_out:
        rated, unseen = pairs_of_documents(recipe, run, base, backward, segments, natural)
        beside.append(rated)
    losses, on_documents = list[Records[Loss]](), list[Records[Loss]]()

    def measure(name: str, model: Model) -> None:
        losses.append(run.step(f"loss-{name}", measure_loss, how, model=model, examples=seed))
        if unseen is not None:
            on_documents.append(run.step(f"unseen-{name}", measure_unseen, how, model=model, examples=unseen))
        if beside:
            run.step(f"beside-{name}", measure_beside, how, model=model, sets=beside, counting=unseen)

    # M_0, taught by the seed alone, is the first judge; if wanted, it is also taught to judge, and so is each after it.
    lessons = make_lessons(recipe, run, seed)
    taught = lessons if recipe.judge.is_taught else []
    measure("base", base)
    models = [run.step("m0", train_forward, recipe.forward, base=base, examples=[*human, *taught])]
    measure("m0", models[0])

    # Self-curation: M_{t-1} judges every candidate, and the best of them, with the seed, make M_t.
    # Where a round chooses what the one before chose, its model is that one's (`earlier`).
    known = Known(seed, probes, lessons)
    earlier, learnt = None, None
    for t in range(1, recipe.rounds + 1):
        judged, chosen = choose(recipe, run, t, models[-1], candidates, known)
        known = known._replace(before=(judged, chosen) if judged is not None else ())
        examples: list[Records[Example | Lesson]] = [*(human * recipe.seed_copies), chosen, *taught]
        model = run.step(
            f"m{t}", train_forward, recipe.forward, base=base, examples=examples, earlier=earlier, taught=learnt
        )
        earlier, learnt = model, examples
        models.append(model)
        measure(f"m{t}", model)

    # The result is the last M_t that helps where the documents are, and costs next to nothing where the seed is.
    return run.step("result", keep_best, recipe.gate, models=models, losses=losses, unseen=on_documents or None)


def make_corpus(recipe: Recipe, run: Steps) -> Records[Segment]:
    """Make the segments alone: cut every document, then drop duplicates over the whole corpus.

    Documents are set aside only where there will be models to measure on them.
    """
    segments = run.step("segment", cut_documents, recipe.corpus)
    options = recipe.corpus if recipe.forward else recipe.corpus.model_copy(update={"held_out": 0.0})
    return run.step("dedup", drop_duplicates, options, segments=segments)


def pairs_of_documents(
    recipe: Recipe,
    run: Steps,
    base: Model,
    backward: Model,
    segments: Records[Segment],
    natural: Records[Example] | None,
) -> tuple[Records[Example], Records[Example]]:
    """Have instructions written for the documents that are set aside, and the base model decide which pairs count; return
    all pairs, and those."""
    asked = run.step("ask-unseen", write_unseen, recipe.augment, model=backward, segments=segments, natural=natural)
    how = recipe.evaluate.measuring
    if recipe.natural.asked_share < 1:
        rated = run.step("rate-unseen", rate_unseen, how, model=base, candidates=asked, natural=natural)
    else:
        rated = run.step("rate-unseen", take_unseen, recipe.natural, candidates=asked, natural=natural)
    return rated, run.step("unseen", choose_unseen, recipe.natural, rated=rated)


def curate(
    recipe: Recipe, run: Steps, t: int, judge: Model, candidates: Records[Candidate], known: Known
) -> tuple[Records[Judgement], Records[Example]]:
    """Try the judge of round `t`, have it judge every candidate, and choose; return the judgements and the chosen pairs."""
    taught = teach_states(recipe, run, t, judge, known.lessons)
    try_judge(recipe, run, t, judge, known.probes, taught)
    judged = run.step(f"score-{t}", score, recipe.score.asked(), model=judge, candidates=candidates, taught=taught)
    k = recipe.select.of_round(t)
    return judged, run.step(f"select-{t}", select, k, candidates=candidates, judgements=judged, before=known.before)


def make_lessons(recipe: Recipe, run: Steps, seed: Records[Example] | None) -> list[Records[Lesson]]:
    """Make what teaches a judge, where the recipe teaches one: pairs of the seed, damaged ones, and ranked ones."""
    teaching = recipe.judge.teaching()
    if seed is None:
        return []
    contrast = teaching.examples != "none" or (recipe.teaches_probe and not teaching.ranked)
    lessons = [run.step("teach", teach_judge, teaching, seed=seed)] if contrast else []
    return lessons + ([run.step("ranked", load_ranked, teaching, seed=seed)] if teaching.ranked else [])


def teach_states(
    recipe: Recipe, run: Steps, t: int, judge: Model, lessons: list[Records[Lesson]]
) -> Records[Never] | None:
    """Teach the scorer `probe`, where the recipe has it, by the hidden states of the judge of round `t`."""
    if recipe.score.probe:
        return taught_before(recipe.score.probe)
    if not recipe.teaches_probe:
        return None
    return run.step(f"teach-probe-{t}", teach_probe, recipe.teaching_probe, model=judge, lessons=lessons)


def try_judge(
    recipe: Recipe,
    run: Steps,
    t: int,
    judge: Model,
    probes: Records[Probe] | None,
    taught: Records[Never] | None = None,
) -> Records[Judgement] | None:
    """Stop the run if the judge of round `t` is no better than chance on the probes; return its judgements of them."""
    if probes is None:
        return None
    probed = run.step(f"probe-{t}", score, recipe.score.asked(), model=judge, candidates=probes, taught=taught)
    run.step(f"check-{t}", check, recipe.check, probes=probes, judgements=probed)
    return probed


PAGE = humpback
