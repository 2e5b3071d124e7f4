"""Answering from a text: a model that was trained for it writes the answer to a question (REInstruct; method.md 3.3)."""

from dataclasses import replace
from functools import partial

from askback import prompts
from askback.engines.protocol import Completion
from askback.engines.usage import Tokens
from askback.execution.forecast import Forecast, ForecastContext, mean
from askback.execution.identity import Model, recorded
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.recipe import Rewriting
from askback.records import Example
from askback.rewrite.write import PIECE, Way, Written, rewrite_piece


def read_answer(completion: Completion) -> Written:
    """Return the whole of what was written, if it has an end."""
    text = completion.text.strip()
    if completion.error:
        return Written("", "no-answer", completion.error)
    if not completion.finished:
        return Written(text, "unfinished", f"not ended within {completion.tokens} tokens")
    return Written(text) if text else Written("", "empty", "no word in it")


ANSWERING = Way(prompts.answering, read_answer)


def forecast(options: Rewriting, context: ForecastContext) -> Forecast:
    """Count on answers as long as the seed's."""
    pairs, ruler = context.pairs("pairs"), context.base.ruler
    fitting = [pair for pair in pairs.sample if ruler.text(pair[1]) <= options.max_draft_tokens]
    count = round(pairs.count * len(fitting) / max(1, len(pairs.sample)))
    answers = [ruler.truncate(output, options.max_new_tokens) for _, output in context.seed.sample]
    read = mean(ruler.prompt(prompts.answering(*pair)) for pair in fitting)
    written = mean(map(ruler.answer, answers))
    made = tuple((asked, answer) for (asked, _), answer in zip(fitting, answers, strict=False))
    tokens = Tokens(round(count * read), round(count * written))
    return Forecast(replace(pairs, count=count, sample=made), pairs.count, tokens)


@recorded(version=1, engine="rewrite", prompts=("answer",), forecast=forecast)
def answer_from_texts(step: Step, options: Rewriting, *, model: Model, pairs: Records[Example]) -> Records[Example]:
    """Have the answer to each question written from its text; the pair keeps its id, and the text is its `original`.

    A text that is too long for the model is dropped, and so is an answer without an end.
    """
    work = partial(rewrite_piece, ANSWERING, options, step.resources, model, step.random_seed)
    return step.map(work, step.cut(pairs, PIECE), Example, "answers")
