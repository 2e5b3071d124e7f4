"""Self-augmentation: the backward model writes the instruction that each segment would answer (method.md 1.7)."""

import re
from collections.abc import Iterable
from functools import partial

from askback import prompts
from askback.config import Augment, Resources
from askback.engines import open_engine
from askback.engines.base import Completion, Sampling
from askback.execution.identity import Model, recorded
from askback.execution.processes import report
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.records import Candidate, Outcome, Segment, draw, fail, record_id, reject

PIECE = 32
"""Segments in a piece of work: half a minute of a small model on a laptop, which is what a kill may lose."""
STAGE = "instructions"


@recorded(version=1, engine="augment", prompts=("backward",))
def write_instructions(step: Step, options: Augment, *, model: Model, segments: Records) -> Records:
    """Write `per_segment` instructions for every segment; each is kept as a candidate or rejected with its rule."""
    work = partial(write_piece, options, step.resources, model, step.random_seed)
    return step.map(work, segments, Candidate, PIECE, "segments")


def write_piece(
    options: Augment, resources: Resources, model: Model, random_seed: int, segments: list[Segment]
) -> Outcome:
    """In a worker: write instructions for some segments; each one's sample depends on its id and the seed alone."""
    engine = open_engine(resources.engine, str(model.path), model.chat_template)
    asked = [(segment, number) for segment in segments for number in range(options.per_segment)]
    shown = {segment.id: engine.truncate(segment.text, options.max_document_tokens) for segment in segments}
    seeds = [draw(random_seed, segment.id, number) for segment, number in asked]
    completions = engine.generate(
        [prompts.backward(shown[segment.id]) for segment, _ in asked],
        Sampling(options.temperature, options.top_p, options.max_new_tokens),
        seeds,
    )
    outcome = Outcome()
    seen: set[str] = set()
    for (segment, number), seed, completion in zip(asked, seeds, completions, strict=True):
        if completion.error:
            id = record_id(segment.id, str(number), "no answer")
            outcome.drop(fail(id, STAGE, "no-answer", completion.error, uri=segment.uri))
            continue
        instruction = completion.text.strip()
        id = record_id(segment.id, instruction)
        found = fault(completion, segment.text, options)
        if not found and id in seen:
            found = "repeated", "this segment has an instruction like it already"
        seen.add(id)
        if found:
            rule, detail = found
            outcome.drop(reject(id, STAGE, rule, detail, uri=segment.uri, text=instruction))
        else:
            outcome.keep(STAGE, _candidate(id, segment, instruction, model, seed))
    report(len(segments), sum(completion.tokens for completion in completions))
    return outcome


def _candidate(id: str, segment: Segment, instruction: str, model: Model, seed: int) -> Candidate:
    return Candidate(
        id=id,
        segment_id=segment.id,
        instruction=instruction,
        output=segment.text,
        uri=segment.uri,
        header_path=segment.header_path,
        source=segment.source,
        licence=segment.licence,
        language=segment.language,
        prompt_id=prompts.prompt_id("backward"),
        model_id=model.id,
        seed=seed,
    )


def fault(completion: Completion, output: str, options: Augment) -> tuple[str, str] | None:
    """Return (rule, detail) when what the backward model wrote is no instruction, else None.

    The paper names no such rules; reproductions of it drowned in empty, echoing and template-leaking instructions
    (method.md 6.3). The limits are ours.
    """
    instruction = completion.text.strip()
    if not re.search(r"\w", instruction):
        return "empty", "no word in it"
    if not completion.finished:
        return "unfinished", f"not ended within {options.max_new_tokens} tokens"
    if len(instruction) > options.max_instruction_chars:
        return "too-long", f"{len(instruction)} characters, at most {options.max_instruction_chars}"
    if leaked := _leak(instruction):
        return "template-leak", leaked
    if copied := _shared_run(instruction, output, options.copied_words):
        return "echo", f"quotes the segment: {copied!r}"
    return None


_PROMPT_WORDS = 6
"""So many words in a row from the backward prompt itself are a leak (ours)."""


def _leak(instruction: str) -> str:
    """Say what of the prompt or the chat template an instruction repeats, if anything."""
    if prompts.inert(instruction) != instruction:
        return "holds chat-template markup"
    for tag in (prompts.SEED_TAG, prompts.WEB_TAG):
        if tag.lower().rstrip(".") in instruction.lower():
            return f"holds the tag {tag!r}"
    copied = _shared_run(instruction, prompts.backward("").user, _PROMPT_WORDS)
    return f"repeats the prompt: {copied!r}" if copied else ""


def _shared_run(text: str, other: str, length: int) -> str:
    """Return the first run of `length` words of `text` that `other` has too, or an empty string."""
    theirs = set(_runs(other, length))
    return next((run for run in _runs(text, length) if run in theirs), "")


def _runs(text: str, length: int) -> Iterable[str]:
    words = re.findall(r"\w+", text.lower())
    return (" ".join(words[start : start + length]) for start in range(len(words) - length + 1))
