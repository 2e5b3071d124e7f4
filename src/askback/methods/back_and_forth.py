"""Back-and-forth translation (Nguyen et al. 2024): documents become instructions, and each answer is rewritten for its own.

The loop of humpback.py with one round, whose curation ends with a rewriting (method.md 2.1). Departure: a rewrite that
says what its source does not is dropped; the paper looks at its markers alone.
"""

from askback.augment.prompted import write_prompted
from askback.curate.select import select
from askback.execution.identity import Model
from askback.execution.run import Steps
from askback.execution.shards import Records
from askback.methods import humpback
from askback.methods.prompted import judge_candidates, read_inputs
from askback.recipe import Prompted, Recipe
from askback.records import Candidate, Example, Judgement
from askback.rewrite.grounded import keep_grounded
from askback.rewrite.prefer import prefer_rewrites
from askback.rewrite.write import rewrite_answers, take_all


def back_and_forth(recipe: Recipe, run: Steps) -> Model | Records[Example]:
    """Make the rewritten pairs, and a model trained on them and the seed where the recipe asks for one.

    M_yx is trained on the seed as in humpback.py; with ``backward: {mode: prompted}`` a model is asked in words, nothing
    is trained, and the pairs are the result.
    """
    if not isinstance(recipe.backward, Prompted):
        return humpback.humpback(recipe, run, curate_and_rewrite)
    writer = run.server("augment") or run.base()
    judge = run.server("score") or run.base()
    segments, seed = read_inputs(recipe, run)
    shots = seed if recipe.backward.shots else None
    candidates = run.step("augment", write_prompted, recipe.asking, model=writer, segments=segments, seed=shots)
    if recipe.curate == "none":
        return rewrite(recipe, run, judge, take(recipe, run, candidates))
    taught = humpback.teach_states(recipe, run, 1, judge, humpback.make_lessons(recipe, run, seed))
    judged = judge_candidates(recipe, run, "score-1", judge, candidates, seed, taught)
    k = recipe.select.of_round(1)
    return rewrite(recipe, run, judge, run.step("select-1", select, k, candidates=candidates, judgements=judged))


def curate_and_rewrite(
    recipe: Recipe, run: Steps, t: int, judge: Model, candidates: Records[Candidate], known: humpback.Known
) -> tuple[Records[Judgement] | None, Records[Example]]:
    """Choose as in humpback.py, or take all, and rewrite; return the judgements, if any, and the rewritten pairs.

    The rewriter is a server's model, or else the judge, M_0, of which the plan warns.
    """
    if recipe.curate == "none":
        return None, rewrite(recipe, run, judge, take(recipe, run, candidates))
    judged, chosen = humpback.curate(recipe, run, t, judge, candidates, known)
    return judged, rewrite(recipe, run, judge, chosen)


def take(recipe: Recipe, run: Steps, candidates: Records[Candidate]) -> Records[Example]:
    """Take all candidates, the paper's "rewrite only"."""
    return run.step("select-1", take_all, recipe.rewrite, candidates=candidates)


def rewrite(recipe: Recipe, run: Steps, model: Model, pairs: Records[Example]) -> Records[Example]:
    """Have every answer rewritten for its instruction, and keep the rewrites that their sources bear out.

    Where it is asked for, the judge says which of them it prefers to their originals, for whoever exports preferences.
    """
    rewriter = run.server("rewrite") or model
    rewritten = run.step("rewrite", rewrite_answers, recipe.rewrite, model=rewriter, pairs=pairs)
    kept = run.step("grounded", keep_grounded, recipe.grounded, pairs=rewritten)
    if recipe.prefer is not None:
        run.step("prefer", prefer_rewrites, recipe.prefer, model=model, pairs=kept)
    return kept


PAGE = back_and_forth
