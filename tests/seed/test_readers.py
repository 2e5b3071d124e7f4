"""Every seed reader: good rows become pairs, broken ones are counted with file and line, the rest go on."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from askback.errors import InputError
from askback.execution.identity import recorded
from askback.execution.outcome import Outcome
from askback.execution.run import Run
from askback.execution.shards import Records, rejections
from askback.execution.step import Step
from askback.inputs.rows import read_rows
from askback.recipe import HumanSet, RecipeFile, Seed, SeedSource
from askback.recipe.names import PAIRS
from askback.records import Candidate, Provenance, Rejection, exchange
from askback.seed.load import gather, load_seed, load_set, sources
from askback.seed.readers import Pair, reader


def message(id: str, parent: str | None, role: str, text: str, **more: Any) -> dict[str, Any]:
    return {"message_id": id, "parent_id": parent, "role": role, "text": text, "lang": "en", "rank": None, **more}


def tree(*messages: dict[str, Any]) -> dict[str, Any]:
    """Nest flat messages as the trees export does."""
    byid = {one["message_id"]: {**one, "replies": []} for one in messages}
    for one in messages:
        if one["parent_id"] is not None:
            byid[one["parent_id"]]["replies"].append(byid[one["message_id"]])
    return {"prompt": byid[messages[0]["message_id"]]}


GOOD_TREE = (
    message("r", None, "prompter", "Why is the sky blue?"),
    message("a1", "r", "assistant", "Because blue light scatters most.", rank=0),
    message("a2", "r", "assistant", "It is not.", rank=1),
    message("p2", "a1", "prompter", "And at night?"),
    message("a3", "p2", "assistant", "No sunlight.", rank=0),
)

ROWS: dict[str, list[Any]] = {
    "pairs": [{"instruction": "Why is the sky blue?", "output": "Because blue light scatters most."}],
    "alpaca": [{"instruction": "Why is the sky blue?", "input": "", "output": "Because blue light scatters most."}],
    "messages": [
        {
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": "Why is the sky blue?"},
                {"role": "assistant", "content": "Because blue light scatters most."},
                {"role": "user", "content": "And at night?"},
            ]
        }
    ],
    "sharegpt": [
        {
            "conversations": [
                {"from": "human", "value": "Why is the sky blue?"},
                {"from": "gpt", "value": "Because blue light scatters most."},
            ]
        }
    ],
    "oasst-messages": list(reversed(GOOD_TREE)),  # replies before their prompt
    "oasst-trees": [tree(*GOOD_TREE)],
}

BROKEN: dict[str, Any] = {
    "pairs": {"instruction": "x"},
    "alpaca": {"instruction": "x", "input": 3, "output": None},
    "messages": {"messages": [{"role": "user"}]},
    "sharegpt": {"conversations": [{"from": "gpt", "value": "I speak first"}]},
    "oasst-messages": {"message_id": "z"},
    "oasst-trees": {"tree": {}},
}


def read(path: Path, format: str, language: str = "en") -> list[Pair | Rejection]:
    return list(reader(format).read(read_rows(path), language))


def test_limas_turns_are_plain_strings(tmp_path: Path) -> None:
    path = tmp_path / "lima.jsonl"
    rows = [["Why?", "So."], ["Why?", "So.", "And?", "Also."], ["Alone?"], ["Mixed?", {"from": "gpt", "value": "x"}]]
    path.write_text("\n".join(json.dumps({"conversations": turns, "source": "stackexchange"}) for turns in rows))
    found = read(path, "sharegpt")
    assert [(one.instruction, one.output) for one in found if isinstance(one, Pair)] == [("Why?", "So.")] * 2
    rules = [one.rule for one in found if isinstance(one, Rejection)]
    assert rules == ["not-first-turn", "broken", "broken"]


@pytest.mark.parametrize("format", PAIRS)
def test_contract(format: str, tmp_path: Path) -> None:
    path = tmp_path / "seed.jsonl"
    lines = [json.dumps(row) for row in ROWS[format]]
    path.write_text("\n".join([*lines, "{broken", json.dumps(BROKEN[format]), "[]", "", *lines]) + "\n")
    found = read(path, format)
    pairs = [one for one in found if isinstance(one, Pair)]
    broken = [one for one in found if isinstance(one, Rejection) and one.outcome == "failed"]
    assert {(one.instruction, one.output) for one in pairs} == {
        ("Why is the sky blue?", "Because blue light scatters most.")
    }
    assert len(pairs) == 2
    number = len(lines) + 1
    assert {drop.uri for drop in broken} >= {f"{path}:{number}", f"{path}:{number + 1}", f"{path}:{number + 2}"}
    assert all("\n" not in drop.detail and drop.detail for drop in broken)


def test_a_broken_line_1000_costs_one_pair(tmp_path: Path) -> None:
    path = tmp_path / "seed.jsonl.gz"
    rows = [json.dumps({"instruction": f"ask {n}", "output": f"answer {n}"}) for n in range(1, 1201)]
    rows[999] = rows[999][:-5]
    with gzip.open(path, "wt") as file:
        file.write("\n".join(rows))
    outcome = gather(Seed(sources=[SeedSource(path=str(path))]))
    counts = outcome.counts["pairs"]
    assert (counts.entered, counts.kept, counts.failed) == (1200, 1199, 1)
    assert outcome.dropped[0].uri == f"{path}:1000" and "not valid JSON" in outcome.dropped[0].detail


def test_a_cut_gzip_keeps_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "seed.jsonl.gz"
    rows = "".join(
        json.dumps({"instruction": f"ask {n} " + str(hash(n * n)), "output": "a"}) + "\n" for n in range(20_000)
    )
    path.write_bytes(gzip.compress(rows.encode())[:-20_000])
    found = list(read_rows(path))
    assert 1000 < len(found) < 20_001 and "cannot be read from here on" in str(found[-1][1])


def test_parquet_and_json_are_read(tmp_path: Path) -> None:
    rows = ROWS["pairs"]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    (tmp_path / "a.json").write_text(json.dumps(rows))
    for name in ("a.parquet", "a.json"):
        assert [pair.output for pair in read(tmp_path / name, "pairs") if isinstance(pair, Pair)] == [rows[0]["output"]]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "x", "no JSON, it begins with 'x'; JSON Lines, a JSON array or Parquet is wanted"),
        ("a.json", "{", "not valid JSON"),
        ("a.parquet", "PAR1", "cannot be read from row 1 on"),
    ],
)
def test_a_file_that_holds_no_pair_is_one_clear_line(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=said) as caught, Run(recipe(tmp_path, tmp_path / name)) as run:
        run.step("seed", load_seed, run.file.recipe.seed)
    assert "\n" not in str(caught.value) and str(tmp_path / name) in str(caught.value)


def recipe(folder: Path, seed: Path) -> RecipeFile:
    sources = {"seed": {"sources": [{"path": str(seed)}]}, "corpus": {"sources": [{"format": "installed-docs"}]}}
    return RecipeFile.model_validate({"name": "x", "recipe": sources, "resources": {"runs": str(folder / "runs")}})


def test_alpaca_input_follows_the_instruction(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"instruction": "Translate.", "input": "Guten Tag", "output": "Good day"}))
    (pair,) = read(path, "alpaca")
    assert isinstance(pair, Pair) and pair.instruction == "Translate.\n\nGuten Tag"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"a1": {"rank": 1}}, "not-best"),
        ({"a1": {"rank": None}}, "not-best"),
        ({"a1": {"deleted": True}}, "deleted"),
        ({"r": {"deleted": True}}, "deleted"),
        ({"r": {"synthetic": True}}, "not-human"),
        ({"a1": {"synthetic": True, "model_name": "m"}}, "not-human"),
        ({"a1": {"lang": "de"}}, "language"),
        ({"r": {"lang": "de"}}, "language"),
    ],
)
@pytest.mark.parametrize("format", ["oasst-messages", "oasst-trees"])
def test_oasst_takes_only_the_best_human_reply_to_a_root(
    change: dict[str, Any], rule: str, format: str, tmp_path: Path
) -> None:
    messages = [{**one, **change.get(one["message_id"], {})} for one in GOOD_TREE]
    path = tmp_path / "a.jsonl"
    rows = messages if format == "oasst-messages" else [tree(*messages)]
    path.write_text("\n".join(map(json.dumps, rows)))
    found = read(path, format)
    assert not [one for one in found if isinstance(one, Pair)]
    rules = {one.id: one.rule for one in found if isinstance(one, Rejection)}
    assert rules["a1"] == rule and rules["a3"] == "not-first-turn" and len(rules) == 3


def test_the_published_messages_give_the_known_pairs(shared_data: Path) -> None:
    found = read(shared_data / "seed/oasst1_validation_messages.jsonl.gz", "oasst-messages")
    assert sum(isinstance(one, Pair) for one in found) == 186  # method.md 1.3
    assert {one.rule for one in found if isinstance(one, Rejection)} <= {"not-first-turn", "not-best", "deleted"}


def test_held_out_pairs_never_train(tmp_path: Path) -> None:
    rows = [{"instruction": f"ask {n}", "output": "x" * n} for n in range(1, 300)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "h.jsonl").write_text(json.dumps({"instruction": "ASK  7", "output": "other"}))
    outcome = gather(
        Seed(
            sources=[
                SeedSource(path=str(tmp_path / "a.jsonl")),
                SeedSource(path=str(tmp_path / "h.jsonl"), split="held-out"),
            ],
            min_output_chars=3,
            max_output_chars=250,
        )
    )
    rules = sorted({(drop.rule, drop.text) for drop in outcome.dropped if drop.rule == "duplicate"})
    assert rules == [("duplicate", "ask 7")], "a training pair with a held-out instruction has to go"
    held_out = sum(example.split == "held-out" for example in outcome.kept)
    assert 10 < held_out < 50
    assert all(3 <= len(example.output) <= 250 for example in outcome.kept if example.instruction != "ASK  7")


def test_a_seed_without_pairs_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such seed file"):
        gather(Seed(sources=[SeedSource(path=str(tmp_path / "none.jsonl"))]))


def test_the_bundled_seed_is_as_described() -> None:
    kept = gather(Seed(sources=[SeedSource(path="builtin:demo")])).kept
    words = [len(example.output.split()) for example in kept]
    assert len(kept) == 120 and min(words) >= 40 and max(words) <= 200


def test_pairs_that_ask_what_an_evaluation_asks_are_dropped(tmp_path: Path) -> None:
    questions = ["Why is the sky blue?", "Why is the sky over the sea blue?", "Is the sky blue?"]
    rows = [{"instruction": question, "output": "It is."} for question in questions]
    (tmp_path / "seed.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    (tmp_path / "eval.jsonl").write_text(
        '{"prompt": "why is the sky blue"}\n{"prompt": "Is the sky over the sea blue?"}'
    )
    source = SeedSource(path=str(tmp_path / "seed.jsonl"))
    outcome = gather(Seed(sources=[source], decontaminate=[str(tmp_path / "eval.jsonl")]))
    assert [example.instruction for example in outcome.kept] == ["Is the sky blue?"]
    said = (
        f"7 words in a row, all of it, as in {tmp_path / 'eval.jsonl'}:2, none wanted: 'is the sky over the sea blue'"
    )
    assert [(drop.rule, drop.detail) for drop in outcome.dropped] == [
        ("contaminated", f"is the prompt {tmp_path / 'eval.jsonl'}:1, none wanted"),
        ("contaminated", said),
    ]
    assert outcome.counts["pairs"].balanced()


def test_files_of_evaluation_prompts_are_part_of_the_seed(tmp_path: Path) -> None:
    (tmp_path / "eval.jsonl").write_text('{"prompt": "a"}')
    options = Seed(sources=[SeedSource(path="builtin:demo")], decontaminate=[str(tmp_path / "eval.jsonl")])
    assert set(sources(options)) == {"builtin:demo", f"decontaminate:{tmp_path / 'eval.jsonl'}"}
    with pytest.raises(InputError, match=r"none.jsonl: cannot be read"):
        sources(Seed(sources=[SeedSource(path="builtin:demo")], decontaminate=["none.jsonl"]))


def test_a_set_to_measure_on_leaves_out_what_is_trained_on(tmp_path: Path) -> None:
    def rows(name: str, *instructions: str) -> str:
        found = [{"instruction": text, "output": "Yes."} for text in instructions]
        (tmp_path / name).write_text("\n".join(map(json.dumps, found)))
        return str(tmp_path / name)

    long = "Tell me in a few plain words how a ship of that size gets through the lock at night"
    seed = {"path": rows("seed.jsonl", "Is it wet?", f"Please: {long}?"), "split": "train"}
    held_out = {"path": rows("held.jsonl", "Is it deep?"), "split": "held-out"}
    written = ["What grows in the harbour of this town in winter, and why?"]
    own = rows("tasks.jsonl", "IS IT WET?", "Is it deep?", f"{long}, and by day.", written[0], "Is it far?")
    tree = {"seed": {"sources": [seed, held_out]}, "corpus": {"sources": [{"format": "text", "path": "x"}]}}
    file = RecipeFile.model_validate({"name": "x", "recipe": tree, "resources": {"runs": str(tmp_path)}})

    @recorded(version=1)
    def candidates(step: Step, options: Seed) -> Records[Candidate]:
        outcome = Outcome[Candidate]()
        for text in written:
            outcome.keep("instructions", Candidate("c", exchange(text, "Kelp."), Provenance("page"), [], "", "", 0))
        return step.write(Candidate, [outcome])

    with Run(file) as run:
        taught = run.step("seed", load_seed, file.recipe.seed), run.step("augment", candidates, file.recipe.seed)
        found = run.step("set-tasks", load_set, HumanSet(name="tasks", path=own), taught=taught)
        kept = [(one.instruction, one.split, one.origin) for one in found]
    assert kept == [("Is it deep?", "held-out", "seed"), ("Is it far?", "held-out", "seed")]
    assert [(drop.rule, drop.stage) for drop in rejections(run.folder / "set-tasks")] == [("learnt", "pairs")] * 3


def test_tasks_of_self_instruct_have_a_pair_for_each_instance(tmp_path: Path) -> None:
    instances = [{"input": "One two", "output": "Two one"}, {"input": "", "output": "Nothing"}]
    row = {"id": "t", "instruction": "Turn this round.", "instances": instances}
    (tmp_path / "tasks.jsonl").write_text(json.dumps(row))
    found = gather(Seed.model_validate({"sources": [{"path": str(tmp_path / "tasks.jsonl")}]})).kept
    assert [(one.instruction, one.output) for one in found] == [
        ("Turn this round.\n\nOne two", "Two one"),
        ("Turn this round.", "Nothing"),
    ]
