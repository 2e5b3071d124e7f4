"""Prompted: documents become pairs without a training. A model that is asked in words writes the instructions, a model
that is asked in words judges them, and the pairs it finds good are the result.

The loop of humpback.py cut down to one round, after LongForm (Koksal et al. 2023), which had a strong model write the
instructions, and with the judgement that it lacks (method.md 4).
"""

import sys
from typing import Never

from askback.augment.prompted import write_more, write_prompted
from askback.curate.join import join_candidates, join_judgements
from askback.curate.score import score
from askback.curate.select import count_chosen, select
from askback.curate.swap import swap_instructions
from askback.curate.teach import make_probes
from askback.curate.until import next_block
from askback.execution.identity import Model
from askback.execution.run import Steps
from askback.execution.shards import Records
from askback.methods import names
from askback.methods.humpback import make_corpus, make_lessons, teach_states, try_judge
from askback.recipe import Recipe
from askback.records import Candidate, Example, Judgement, Segment
from askback.seed.load import load_seed


def prompted(recipe: Recipe, run: Steps) -> Records[Example]:
    """Make the data set. Each role is a server's model, or else the base model."""
    writer = run.server("augment") or run.base()
    judge = run.server("score") or run.base()

    # Documents are cut into segments y. Pairs that people wrote are examples for the writer, and a trial for the judge.
    segments, seed = read_inputs(recipe, run)
    taught = teach_states(recipe, run, 1, judge, make_lessons(recipe, run, seed))
    if recipe.select.until is not None:
        return until_enough(recipe, run, writer, judge, segments, seed, taught)

    # The writer says what would have been asked to get y, or that nobody would ask for it.
    options, shots = recipe.asking, seed if recipe.asking.shots else None
    candidates = run.step("augment", write_prompted, options, model=writer, segments=segments, seed=shots)

    # The judge is tried, then rates every candidate; those that reach the threshold are the data.
    judged = judge_candidates(recipe, run, "score-1", judge, candidates, seed, taught)
    return run.step("select-1", select, recipe.select.of_round(1), candidates=candidates, judgements=judged)


def read_inputs(recipe: Recipe, run: Steps) -> tuple[Records[Segment], Records[Example] | None]:
    """Return the segments, and the seed pairs, if there are any."""
    segments = make_corpus(recipe, run)
    return segments, run.step("seed", load_seed, recipe.seed) if recipe.seed.sources else None


def until_enough(
    recipe: Recipe,
    run: Steps,
    writer: Model,
    judge: Model,
    segments: Records[Segment],
    seed: Records[Example] | None,
    taught: Records[Never] | None,
) -> Records[Example]:
    """Have blocks of segments asked about and judged, until as many pairs as are wanted reach the threshold.

    A plan, which cannot know how many will, has one block after those that are made, of all that may be asked about.
    """
    most = (recipe.select.max_candidates or sys.maxsize) // recipe.augment.per_segment
    most = min(most, len(segments)) if run.has(segments) else most
    shots = seed if recipe.asking.shots else None
    asked, judged = list[Records[Candidate]](), list[Records[Judgement]]()
    at, size = 0, next_block(0, 0, recipe.select, most)
    while size:
        number, write, known = len(asked) + 1, write_more if asked else write_prompted, all(map(run.has, asked))
        options = recipe.asking.model_copy(update={"first": at, "stop": at + size})
        name = names.block("augment", number)
        asked.append(run.step(name, write, options, model=writer, segments=segments, seed=shots))
        name = names.block("score", number)
        if number == 1:
            judged.append(judge_candidates(recipe, run, name, judge, asked[0], seed, taught))
        elif not run.has(asked[-1]) or len(asked[-1]):
            given = recipe.score.asked()
            judged.append(run.step(name, score, given, model=judge, candidates=asked[-1], taught=taught))
        at, size = at + size, most - at - size if known else 0
        if all(map(run.has, judged)):
            size = next_block(at, count_chosen(recipe.select, asked, judged), recipe.select, most)
    rest = recipe.asking.model_copy(update={"first": at})
    candidates = run.step("augment", join_candidates, rest, parts=asked, segments=segments)
    judgements = run.step("score-1", join_judgements, recipe.asking, parts=judged)
    return run.step("select-1", select, recipe.select, candidates=candidates, judgements=judgements)


def judge_candidates(
    recipe: Recipe,
    run: Steps,
    name: str,
    judge: Model,
    candidates: Records[Candidate],
    seed: Records[Example] | None,
    taught: Records[Never] | None,
) -> Records[Judgement]:
    """Try the judge on held-out seed pairs, or else on candidates with swapped instructions, and have it judge them all."""
    probes, options = None, recipe.judge.probing()
    if recipe.judge.check and seed is not None:
        probes = run.step("probes", make_probes, options, seed=seed)
    elif recipe.judge.check:
        probes = run.step("probes", swap_instructions, options, candidates=candidates)
    probed = try_judge(recipe, run, 1, judge, probes, taught)
    # What it said of the candidates as they are is taken over, so that none is paid for twice.
    known = (probes, probed) if seed is None else (None, None)
    return run.step(
        *(name, score, recipe.score.asked()),
        model=judge,
        candidates=candidates,
        probes=known[0],
        probed=known[1],
        taught=taught,
    )


PAGE = prompted
