"""Rewriting of the chosen answers, each for its instruction (Back-and-Forth; method.md 2.3)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from askback import prompts
from askback.engines import kind_of
from askback.engines.protocol import Completion, Engine, Sampling
from askback.engines.usage import Tokens
from askback.engines.worker_context import WorkerContext
from askback.execution.forecast import Forecast, ForecastContext, mean
from askback.execution.identity import Model, recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.prompts.prompt import Prompt
from askback.recipe import Resources, Rewriting
from askback.records import Candidate, Example, Message, Rejection, draw, fail, reject

PIECE = 16
"""Answers in a piece of work: a rewrite is as long as twenty instructions, of which augment/write.py has 32."""
STAGE = "rewrites"
WEAK = (
    "the answers are rewritten by the model that the run trains or starts from: rewriters of 7 billion parameters, and "
    "forward models of any size, were found to make answers worse than leaving them (method.md 2.4); give a larger tuned "
    "model under resources.engines.rewrite"
)


@dataclass(frozen=True)
class Written:
    """A rewrite, or the rule by which there is none ("no-answer", "unmarked", "unfinished", "empty") with its detail."""

    text: str
    fault: str = ""
    detail: str = ""


class Way(NamedTuple):
    """How a rewriter is asked about an instruction and a text, and how what it writes is read."""

    asks: Callable[[str, str], Prompt]
    reads: Callable[[Completion], Written]


def forecast(options: Rewriting, context: ForecastContext) -> Forecast:
    """Count on rewrites as long as what they are made from."""
    pairs, ruler = context.pairs("pairs"), context.base.ruler
    fitting = [pair for pair in pairs.sample if ruler.text(pair[1]) <= options.max_draft_tokens]
    share = len(fitting) / max(1, len(pairs.sample))
    read = mean(ruler.prompt(prompts.rewriting(*pair)) for pair in fitting)
    written = mean(ruler.text(prompts.REWRITTEN[1] + output) for _, output in fitting)
    count = round(pairs.count * share)
    weak = not kind_of(context.file.resources.engine_for("rewrite").kind).served
    made = replace(pairs, count=count, sample=tuple(fitting))
    return Forecast(made, pairs.count, Tokens(round(count * read), round(count * written)), notes=(WEAK,) * weak)


@recorded(version=1, engine="rewrite", prompts=("rewrite",), forecast=forecast)
def rewrite_answers(step: Step, options: Rewriting, *, model: Model, pairs: Records[Example]) -> Records[Example]:
    """Have each answer rewritten; its pair keeps its id, and the text as it was is its `original`.

    A rewriter that leaves out the markers is asked again, `retries` times; the answers that stay without them fail. In
    `step.json`, metrics: `retries`, how often one was asked again.
    """
    work = partial(rewrite_piece, REWRITING, options, step.resources, model, step.random_seed)
    return step.map(work, step.cut(pairs, PIECE), Example, "answers")


@recorded(version=1)
def take_all(step: Step, options: Rewriting, *, candidates: Records[Candidate]) -> Records[Example]:
    """Take every candidate as it is, without a score: the paper's "rewrite only"."""
    outcome = Outcome[Example]()
    for one in candidates:
        outcome.keep("candidates", Example(one.id, one.messages, one.provenance, "augmented", "train"))
    return step.write(Example, [outcome])


def rewrite_piece(
    way: Way,
    options: Rewriting,
    resources: Resources,
    model: Model,
    random_seed: int,
    worker: WorkerContext,
    piece: Iterable[Example],
) -> Outcome[Example]:
    """In a worker: rewrite some answers; each is sampled by its pair's id and the seed alone."""
    pairs, outcome = list(piece), Outcome[Example]()
    engine = worker.engine(resources.engine, str(model.path), model.chat_template)
    fitting = []
    for pair in pairs:
        if engine.truncate(pair.output, options.max_draft_tokens) == pair.output:
            fitting.append(pair)
        else:
            detail = f"{len(pair.output)} characters, more than {options.max_draft_tokens} tokens"
            outcome.drop(_about(reject, pair, "too-long", detail, pair.output))
    written, retries = ask(engine, way, options, fitting, random_seed)
    if retries:
        outcome.tally("retries", retries)
    for pair, one in zip(fitting, written, strict=True):
        if one.fault:
            outcome.drop(_about(fail, pair, one.fault, one.detail, one.text))
            continue
        answer = Message("assistant", one.text, pair.messages[-1].segment_id)
        outcome.keep(STAGE, replace(pair, messages=(*pair.messages[:-1], answer), original=pair.output))
    worker.report(len(pairs))
    return outcome


def _about(made: Callable[..., Rejection], pair: Example, rule: str, detail: str, text: str) -> Rejection:
    return made(pair.id, STAGE, rule, detail, uri=pair.provenance.uri, text=text)


def ask(
    engine: Engine, way: Way, options: Rewriting, pairs: Sequence[Example], random_seed: int
) -> tuple[list[Written], int]:
    """Return a rewrite of each pair's answer, and how often one was asked for again as the markers were not there."""
    sampling = Sampling(options.temperature, options.top_p, options.max_new_tokens)
    found: dict[str, Written] = {}
    wanting, retries = list(pairs), 0
    for attempt in range(1 + options.retries):
        retries += len(wanting) if attempt else 0
        asked = [way.asks(pair.instruction, pair.output) for pair in wanting]
        seeds = [draw(random_seed, "rewrite", pair.id, attempt) for pair in wanting]
        for pair, one in zip(wanting, engine.generate(asked, sampling, seeds), strict=True):
            found[pair.id] = way.reads(one)
        wanting = [pair for pair in wanting if found[pair.id].fault in ("unmarked", "unfinished", "empty")]
        if not wanting:
            break
    return [found[pair.id] for pair in pairs], retries


def read(completion: Completion) -> Written:
    """Return the text between the markers; the opening one may be missing, as the prompt begins the answer with it."""
    if completion.error:
        return Written("", "no-answer", completion.error)
    opening, closing = prompts.REWRITTEN
    text, closed, _ = completion.text.rpartition(closing)
    if not closed:
        fault = "unmarked" if completion.finished else "unfinished"
        return Written(completion.text, fault, f"no {closing} within {completion.tokens} tokens")
    text = text.partition(opening)[2] if opening in text else text
    return Written(text.strip()) if text.strip() else Written("", "empty", "nothing between the markers")


REWRITING = Way(prompts.rewriting, read)
