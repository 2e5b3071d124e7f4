"""Humpback: figure 1 of instruction backtranslation (Li et al., ICLR 2024) as code, top to bottom.

Where the paper's text leaves it open, its figure is followed (method.md 1.2): every M_t is trained from the base model,
never from M_{t-1}; M_{t-1} makes the selection that M_t is trained on; all rounds judge the same candidates.
"""

from askback.augment.write import write_instructions, write_unseen
from askback.corpus.build import cut_documents, drop_duplicates
from askback.curate.check import check
from askback.curate.score import score
from askback.curate.select import Before, select
from askback.curate.teach import make_probes, teach_judge
from askback.evaluate.gate import keep_best
from askback.evaluate.loss import measure_loss, measure_unseen
from askback.evaluate.unseen import choose_unseen, rate_unseen
from askback.execution.identity import Model
from askback.execution.run import Steps
from askback.execution.shards import Records
from askback.recipe import Recipe
from askback.records import Candidate, Example, Judgement, Lesson, Loss, Probe, Segment
from askback.seed.load import load_seed
from askback.seed.ranked import load_ranked
from askback.train.steps import train_backward, train_forward


def humpback(recipe: Recipe, run: Steps) -> Model | Records[Example]:
    """Make the whole loop and return its result: the last M_t that passed the gate (evaluate/gate.py).

    Nothing is trained that nobody asks: no M_yx where a server writes the instructions. With ``forward: null`` the chosen
    pairs are the result, judged by the server that scores, or else by the base model.
    """
    base = run.base()

    # What people wrote: pairs of instruction x and output y, and documents cut into segments y.
    seed = run.step("seed", load_seed, recipe.seed)
    segments = make_corpus(recipe, run)

    # Held-out pairs, true and damaged, to try each judge on before it judges a corpus; made before anything is trained.
    probes = run.step("probes", make_probes, recipe.judge.probing(), seed=seed) if recipe.judge.check else None

    # Self-augmentation: M_yx, taught by the seed in reverse, writes the instruction x that each segment y would answer.
    backward = run.server("augment") or run.step(
        "backward", train_backward, recipe.backward, base=base, examples=[seed]
    )
    candidates = run.step("augment", write_instructions, recipe.augment, model=backward, segments=segments)

    if recipe.forward is None:
        return curate(recipe, run, 1, run.server("score") or base, candidates, probes)[-1]

    # Every model is measured on both sides: held-out pairs of the seed, and pairs of documents that are set aside.
    unseen = pairs_of_documents(recipe, run, base, backward, segments) if recipe.corpus.held_out else None
    losses, on_documents = list[Records[Loss]](), list[Records[Loss]]()

    def measure(name: str, model: Model) -> None:
        losses.append(run.step(f"loss-{name}", measure_loss, recipe.evaluate, model=model, examples=seed))
        if unseen is not None:
            loss = run.step(f"unseen-{name}", measure_unseen, recipe.evaluate, model=model, examples=unseen)
            on_documents.append(loss)

    # M_0, taught by the seed alone, is the first judge; if wanted, it is also taught to judge, and so is each after it.
    teaching = recipe.judge.teaching()
    taught = [run.step("teach", teach_judge, teaching, seed=seed)] if teaching.examples != "none" else []
    taught += [run.step("ranked", load_ranked, teaching, seed=seed)] if teaching.ranked else []
    measure("base", base)
    models = [run.step("m0", train_forward, recipe.forward, base=base, examples=[seed, *taught])]
    measure("m0", models[0])

    # Self-curation: M_{t-1} judges every candidate, and the best of them, with the seed, make M_t.
    # Where a round chooses what the one before chose, its model is that one's (`earlier`).
    before: Before = ()
    earlier, learnt = None, None
    for t in range(1, recipe.rounds + 1):
        before = curate(recipe, run, t, models[-1], candidates, probes, before)
        examples: list[Records[Example | Lesson]] = [seed, before[-1], *taught]
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
    recipe: Recipe, run: Steps, base: Model, backward: Model, segments: Records[Segment]
) -> Records[Example]:
    """Have instructions written for the documents that are set aside, and the base model decide which pairs count."""
    asked = run.step("ask-unseen", write_unseen, recipe.augment, model=backward, segments=segments)
    rated = run.step("rate-unseen", rate_unseen, recipe.evaluate, model=base, candidates=asked)
    return run.step("unseen", choose_unseen, recipe.evaluate, rated=rated)


def curate(
    recipe: Recipe,
    run: Steps,
    t: int,
    judge: Model,
    candidates: Records[Candidate],
    probes: Records[Probe] | None,
    before: Before = (),
) -> tuple[Records[Judgement], Records[Example]]:
    """Try the judge of round `t`, have it judge every candidate, and choose; return the judgements and the chosen pairs."""
    if probes is not None:
        probed = run.step(f"probe-{t}", score, recipe.score, model=judge, candidates=probes)
        run.step(f"check-{t}", check, recipe.check, probes=probes, judgements=probed)
    judged = run.step(f"score-{t}", score, recipe.score, model=judge, candidates=candidates)
    k = recipe.select.of_round(t)
    return judged, run.step(f"select-{t}", select, k, candidates=candidates, judgements=judged, before=before)


PAGE = humpback
