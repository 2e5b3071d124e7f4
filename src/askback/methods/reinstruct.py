"""REInstruct (Chen et al., Findings of ACL 2024): a trained model asks what a text answers, another trained model answers.

The loop of humpback.py with one round, in which rules choose and no judge does: documents by preset `reinstruct`, then
questions, then answers (method.md 3). Departures: answers that say what their text does not are dropped, unless
`grounded.skip_rules` has all; M_0 is trained too where a model is wanted, as the gate compares with it.
"""

from askback.execution.identity import Model
from askback.execution.run import Steps
from askback.execution.shards import Records
from askback.methods.humpback import Known, humpback
from askback.recipe import Recipe
from askback.records import Candidate, Example
from askback.rewrite.answer import answer_from_texts
from askback.rewrite.grounded import keep_grounded
from askback.rewrite.post_filters import keep_answers, take_questions
from askback.seed.triples import load_triples
from askback.train.steps import train_rewriter


def reinstruct(recipe: Recipe, run: Steps) -> Model | Records[Example]:
    """Make the answered pairs, and with ``forward: {}`` a model trained on them and on the seed, which then stands
    `seed_copies` times beside them: twice."""
    return humpback(recipe, run, answer)


def answer(
    recipe: Recipe, run: Steps, t: int, judge: Model, candidates: Records[Candidate], known: Known
) -> tuple[None, Records[Example]]:
    """Have the questions that are kept answered from their texts, and return the pairs that are kept of these."""
    questions = run.step(f"select-{t}", take_questions, recipe.filters, candidates=candidates)
    rewriter = make_rewriter(recipe, run, known)
    answered = run.step("rewrite", answer_from_texts, recipe.rewrite, model=rewriter, pairs=questions)
    filtered = run.step("filtered", keep_answers, recipe.filters, pairs=answered)
    return None, run.step("grounded", keep_grounded, recipe.grounded, pairs=filtered)


def make_rewriter(recipe: Recipe, run: Steps, known: Known) -> Model:
    """Return what answers a question from a text: a server's model, or one that is trained on triples of text, question
    and answer, from the base model."""
    if (server := run.server("rewrite")) is not None:
        return server
    triples = run.step("triples", load_triples, recipe.triples, seed=known.seed)
    return run.step("rewriter", train_rewriter, recipe.rewriter, base=run.base(), examples=[triples])


PAGE = reinstruct
