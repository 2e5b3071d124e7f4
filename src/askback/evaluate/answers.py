"""Prompt sets, and the answers to them of models or from files."""

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from askback import prompts as words
from askback.engines.protocol import Sampling
from askback.engines.worker_context import WorkerContext
from askback.errors import InputError
from askback.evaluate.options import Answering, BaselineFile, HeldOutPrompts, PromptFile
from askback.execution.identity import Model, file_fingerprint, recorded
from askback.execution.outcome import Outcome
from askback.execution.shards import Records
from askback.execution.step import Step
from askback.inputs.contamination import FIELDS, prompt_of
from askback.inputs.json_values import as_text
from askback.inputs.rows import BrokenRow, read_rows
from askback.owned import atomic
from askback.recipe import Resources
from askback.records import Answer, EvalPrompt, Example, Message, Provenance, draw, fail, record_id, reject

PIECE = 8
"""Prompts in a piece of work: half a minute of a small model on a laptop."""


def source(options: PromptFile | BaselineFile) -> dict[str, str]:
    """Return the fingerprint of the file."""
    if not Path(options.path).is_file():
        raise InputError(f"{options.path}: no such file; give a .jsonl, .json or .parquet file")
    return {options.path: file_fingerprint(Path(options.path))}


@recorded(version=3, sources=source)
def read_prompts(step: Step, options: PromptFile) -> Records[EvalPrompt]:
    """Read a prompt set: each row's instruction, prompt, question, text or first of turns, and its reference if any.

    An Alpaca or Self-Instruct row's input follows its instruction after a blank line. Duplicate prompts count once.
    """
    return step.write(EvalPrompt, [prompts_of(options)])


def prompts_of(options: PromptFile) -> Outcome[EvalPrompt]:
    """Return the prompts of a file."""
    outcome, seen = Outcome[EvalPrompt](), set[str]()
    for where, row in read_rows(Path(options.path)):
        if len(outcome.kept) == options.limit:
            break
        if isinstance(row, BrokenRow) or not (instruction := _instruction(row)):
            why = str(row) if isinstance(row, BrokenRow) else f"no prompt under {', '.join(FIELDS)} or turns"
            outcome.drop(fail(record_id(where), "prompts", "broken", why, uri=where))
        elif normal(instruction) in seen:
            outcome.drop(reject(record_id(where), "prompts", "duplicate", uri=where, text=instruction))
        else:
            seen.add(normal(instruction))
            asked = (Message("user", instruction),)
            outcome.keep("prompts", prompt(asked, _reference(row), Provenance(where, options.path)))
    return outcome


@recorded(version=2)
def held_out_prompts(step: Step, options: HeldOutPrompts, *, examples: Records[Example]) -> Records[EvalPrompt]:
    """Take the instructions of held-out pairs as prompts, the first by id, with the pairs' outputs as references."""
    outcome = Outcome[EvalPrompt]()
    held_out = sorted((one for one in examples if one.split == "held-out"), key=lambda one: one.id)
    for one in held_out[: options.limit]:
        outcome.keep("prompts", prompt(one.messages[:-1], one.output, one.provenance))
    return step.write(EvalPrompt, [outcome])


def prompt(messages: tuple[Message, ...], reference: str, provenance: Provenance) -> EvalPrompt:
    """Return a prompt whose id is a hash of its messages."""
    return EvalPrompt(record_id(*(one.content for one in messages)), messages, reference, provenance)


@recorded(version=2, engine="answer", prompts=("forward",))
def write_answers(step: Step, options: Answering, *, model: Model, prompts: Records[EvalPrompt]) -> Records[Answer]:
    """Let a model answer every prompt, under both tags as the paper does (method.md 1.6), at T 0.7 and p 0.9."""
    work = partial(answer_piece, options, step.resources, model, step.random_seed)
    answers = step.map(work, step.cut(prompts, PIECE), Answer, "prompts")
    step.metrics["unfinished"] = sum(not answer.finished for answer in answers)
    return answers


def answer_piece(
    options: Answering,
    resources: Resources,
    model: Model,
    random_seed: int,
    worker: WorkerContext,
    piece: Iterable[EvalPrompt],
) -> Outcome[Answer]:
    """In a worker: answer some prompts; each answer depends on its prompt and the seed alone."""
    examples = list(piece)
    engine = worker.engine(resources.engine, str(model.path), model.chat_template)
    outcome, asked = Outcome[Answer](), []
    for one in examples:
        if engine.truncate(one.instruction, options.max_prompt_tokens) == one.instruction:
            asked.append(one)
        else:
            detail = f"more than {options.max_prompt_tokens} tokens"
            outcome.drop(
                reject(one.id, "answers", "over-max-tokens", detail, uri=one.provenance.uri, text=one.instruction)
            )
    completions = engine.generate(
        [words.forward(one.messages, "inference", options.quality) for one in asked],
        Sampling(options.temperature, options.top_p, options.max_new_tokens),
        [draw(random_seed, one.id, "answer") for one in asked],
    )
    for one, made in zip(asked, completions, strict=True):
        if made.error:
            outcome.drop(fail(one.id, "answers", "no-answer", made.error, uri=one.provenance.uri, text=one.instruction))
            continue
        text = made.text.strip()
        id = record_id(one.id, text, model.id)
        outcome.keep("answers", Answer(id, one.id, one.instruction, text, model.id, made.tokens, made.finished))
    worker.report(len(examples))
    return outcome


@recorded(version=2, sources=source)
def read_baseline(step: Step, options: BaselineFile, *, prompts: Records[EvalPrompt]) -> Records[Answer]:
    """Read another model's answers (rows of instruction, output, generator) to these prompts; others are rejected."""
    wanted = {normal(one.instruction): one for one in prompts}
    outcome, seen = Outcome[Answer](), set[str]()
    for where, row in read_rows(Path(options.path)):
        given = None if isinstance(row, BrokenRow) else (_instruction(row), row.get("output"))
        if given is None or not given[0] or not isinstance(given[1], str):
            why = str(row) if isinstance(row, BrokenRow) else "expected strings under instruction and output"
            outcome.drop(fail(record_id(where), "answers", "broken", why, uri=where))
            continue
        assert isinstance(row, dict)
        one = wanted.get(normal(given[0]))
        if one is None or one.id in seen:
            rule = "no-such-prompt" if one is None else "duplicate"
            outcome.drop(reject(record_id(where), "answers", rule, uri=where, text=given[0]))
            continue
        seen.add(one.id)
        generator = str(row.get("generator") or Path(options.path).stem)
        id = record_id(one.id, given[1], generator)
        outcome.keep("answers", Answer(id, one.id, one.instruction, given[1], generator, 0, True))
    return step.write(Answer, [outcome])


def write_outputs(path: Path, answers: Iterable[Answer], generator: str) -> None:
    """Write answers as AlpacaEval's ``model_outputs.json``, to be submitted there or to be a baseline here."""
    rows = [{"instruction": one.instruction, "output": one.output, "generator": generator} for one in answers]
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", "utf-8")


def normal(instruction: str) -> str:
    """Return an instruction with normalised white space, by which instructions are compared."""
    return " ".join(instruction.split())


def _instruction(row: dict[str, Any]) -> str:
    asked = (prompt_of(row) or "").strip()
    more = next((text for place in _places(row) if (text := as_text(place.get("input")))), "")
    return f"{asked}\n\n{more}" if asked and more else asked


def _reference(row: dict[str, Any]) -> str:
    given = (place.get(name) for name in ("output", "reference") for place in _places(row))
    return next((text for text in given if isinstance(text, str)), "")


def _places(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the objects that may hold a row's fields: the row, and the first of its `instances` (Self-Instruct)."""
    instances = row.get("instances")
    return [row, *(one for one in (instances[:1] if isinstance(instances, list) else []) if isinstance(one, dict))]
