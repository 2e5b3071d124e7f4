"""A recipe is checked whole, and each problem is one line that says where, what was found and what is allowed."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from askback.errors import InputError, RecipeError
from askback.recipe import PRESETS, Backward, Corpus, Options, RecipeFile, Training
from askback.recipe.file import load_recipe

RECIPES = sorted((Path(__file__).parents[1] / "recipes").rglob("*.yaml"))

GOOD = """
name: x
recipe:
  seed: {sources: [{path: 'builtin:demo'}]}
  corpus: {sources: [{format: installed-docs}]}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def test_defaults_are_the_papers(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD)).recipe
    assert (recipe.corpus.min_chars, recipe.corpus.max_chars) == (600, 3000)
    assert (recipe.training.learning_rate, recipe.training.final_learning_rate) == (1e-5, 9e-6)
    assert (recipe.augment.temperature, recipe.augment.top_p, recipe.augment.per_segment) == (0.7, 0.9, 1)
    assert recipe.select.min_score == 4.5 and recipe.rounds == 2 and recipe.training.weight_decay == 0.1


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = """
name: x y
recipe:
  sed: {}
  corpus:
    sources: [{format: wacr, path: p}]
    min_chars: many
  augment: {temprature: 1}
  select: {min_score: 4, top_n: 3}
"""
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, text))
    said = str(caught.value).splitlines()
    assert len(said) == 7
    whole = "\n".join(said)
    for expected in (
        "name: ",
        "recipe.seed: missing and required",
        "recipe.sed: unknown key; allowed: augment, backward",
        "Did you mean 'seed'?",
        "recipe.corpus.sources.0.format: ",
        "found 'wacr'",
        "Did you mean 'warc'?",
        "recipe.corpus.min_chars: ",
        "found 'many'",
        "recipe.augment.temprature: unknown key",
        "Did you mean 'temperature'?",
        "recipe.select: give exactly one of min_score, min_probability, top_fraction, top_n, bins; ",
        "found min_score and top_n",
    ):
        assert expected in whole, (expected, whole)
    assert all(line.startswith(str(tmp_path / "recipe.yaml")) for line in said)


def test_a_list_for_the_rounds_has_one_value_for_each(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    file = load_recipe(path, ["recipe.rounds=2", "recipe.select={min_score: [4, 4.5]}"])
    assert file.recipe.select.min_score == [4, 4.5]
    with pytest.raises(RecipeError, match=r"select\.min_score has 2 values for 3 rounds"):
        load_recipe(path, ["recipe.rounds=3", "recipe.select={min_score: [4, 4.5]}"])
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, ["recipe.select={top_fraction: 2}"])
    assert str(caught.value).count("\n") == 0 and "less than or equal to 1; found 2" in str(caught.value)


def test_set_reaches_any_place(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    file = load_recipe(path, ["recipe.rounds=1", "recipe.corpus.sources.0.limit=5", "resources.workers=2"])
    assert (file.recipe.rounds, file.recipe.corpus.sources[0].limit, file.resources.workers) == (1, 5, 2)
    with pytest.raises(RecipeError, match="expected KEY=VALUE"):
        load_recipe(path, ["recipe.rounds"])
    with pytest.raises(RecipeError, match="no such place"):
        load_recipe(path, ["recipe.corpus.sources.7.limit=5"])


def test_numbers_and_nulls_mean_what_they_look_like(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD + "  forward: {lora: null, trl: {adam_epsilon: 1e-8}}\n")
    file = load_recipe(path, ["recipe.forward.lora.rank=8", "recipe.forward.learning_rate=2e-5"])
    assert file.recipe.training.trl == {"adam_epsilon": 1e-8}
    assert file.recipe.training.lora is not None and file.recipe.training.lora.rank == 8
    assert file.recipe.training.learning_rate == 2e-5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("recipe.corpus.min_chars=4000", "min_chars 4000 is above max_chars 3000"),
        ("recipe.forward.final_learning_rate=1", "is above learning_rate"),
        ("name=../out", "should match pattern"),
        (
            "resources.engine={kind: openai_http, url: 'http://x/v1'}",
            "give it under engines.augment, engines.score, engines.rewrite or engines.compare",
        ),
        ("resources.engines.score={kind: openai_http, url: 'http://x/v1'}", "give recipe.rounds: 1"),
    ],
)
def test_values_that_cannot_work_together(change: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=said):
        load_recipe(write(tmp_path, GOOD), [change])


def test_environment_fills_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, GOOD.replace("builtin:demo", "${SEED_FILE}").replace("name: x", "name: ${NAME:-y}"))
    with pytest.raises(RecipeError, match=r"\$\{SEED_FILE\} is not set"):
        load_recipe(path)
    monkeypatch.setenv("SEED_FILE", "s.jsonl")
    file = load_recipe(path)
    assert (file.recipe.seed.sources[0].path, file.name) == ("s.jsonl", "y")


@pytest.mark.parametrize(("text", "said"), [("[1]", "expected a mapping"), ("a: [", "not valid YAML")])
def test_other_files_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        load_recipe(write(tmp_path, text))


def test_a_missing_recipe_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="askback init"):
        load_recipe(tmp_path / "none.yaml")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_loads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASKBACK_SHARED_DATA", "shared")
    load_recipe(path)
    first = path.read_text("utf-8").splitlines()[0]
    assert first.startswith("# "), "a recipe opens with what it is"


def corpus(**given: object) -> Corpus:
    return Corpus.model_validate({"sources": [{"format": "installed-docs"}], **given})


def test_a_preset_gives_defaults_and_what_is_given_wins() -> None:
    assert corpus() == corpus(preset="web")
    assert (corpus(preset="reinstruct").min_chars, corpus(preset="reinstruct").reinstruct_style) == (1200, True)
    assert corpus(preset="reinstruct", min_chars=600).min_chars == 600  # though that is the default
    assert corpus(preset="strict").finished and corpus(preset="strict", finished=False).max_link_share == 0.4
    none = corpus(preset="none")
    assert (none.header_rules, none.languages, none.min_prose, none.repeat_jaccard) == ("none", [], 0, None)
    assert (none.min_chars, none.max_chars) == (600, 3000)
    for preset in PRESETS:
        made = corpus(preset=preset)
        assert Corpus.model_validate(made.model_dump(mode="json")) == made, "as a run folder's recipe.yaml holds it"


def test_a_preset_that_is_none_says_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"recipe.corpus.preset: .*found 'stict'. Did you mean 'strict'\?"):
        load_recipe(write(tmp_path, GOOD), ["recipe.corpus.preset=stict"])


FIRST_RUN = {
    "recipe.corpus.limit": 60,
    "recipe.backward.learning_rate": 5e-5,
    "recipe.backward.final_learning_rate": 4.5e-5,
    "recipe.backward.steps": 20,
    "recipe.forward.learning_rate": 5e-5,
    "recipe.forward.final_learning_rate": 4.5e-5,
    "recipe.forward.steps": 20,
    "recipe.score.scorers": ["ifd", "whole"],
    "recipe.select": {"top_fraction": 0.2},
}
"""What the template sets otherwise than by default, so that it runs to its end on a small machine."""
TEMPLATE = next(path for path in RECIPES if path.stem == "template")


def test_what_the_template_leaves_to_the_preset_is_shown_with_its_default() -> None:
    text = TEMPLATE.read_text("utf-8")
    shown = yaml.safe_load(
        re.sub(r"^    # (?=[a-z_]+: )", "    ", text, flags=re.MULTILINE)
        .replace("    min_score", "    # min_score")
        .replace("    min_probability", "    # min_probability")
        .replace("    top_n", "    # top_n")
        .replace("    bins", "    # bins")
    )
    assert RecipeFile.model_validate(shown) == RecipeFile.model_validate(yaml.safe_load(text))
    left = set(shown["recipe"]["corpus"]) - set(yaml.safe_load(text)["recipe"]["corpus"])
    assert left >= {name for preset in PRESETS.values() for name in preset}, "else a preset would change nothing"


def test_the_template_names_every_option_with_its_default_but_for_the_first_run() -> None:
    text = TEMPLATE.read_text("utf-8")
    least = {
        "name": "my-run",
        "recipe": {
            "seed": {"sources": [{"path": "builtin:demo", "licence": "Apache-2.0"}]},
            "corpus": {"sources": [{"format": "installed-docs"}]},
        },
    }
    for key, value in FIRST_RUN.items():
        *path, name = key.split(".")
        room: Any = least
        for part in path:
            room = room.setdefault(part, {})
        room[name] = value
    assert RecipeFile.model_validate(yaml.safe_load(text)) == RecipeFile.model_validate(least)
    named = set(re.findall(r"(\w+):", text))
    for name in option_names(RecipeFile):
        assert name in named, f"recipes/template.yaml does not show {name}"
    # Each of them, where it is set, is marked and has its default beside it.
    defaults = {"limit": "null", "steps": "null", "scorers": "[rubric]", "learning_rate": "1.0e-5"}
    for name, default in defaults.items():
        (line,) = re.findall(rf"^    {name}: .*first run.*$", text, re.MULTILINE)[:1]
        assert f"default {default}" in line, line


def option_names(kind: type[Options]) -> set[str]:
    names = set(kind.model_fields)
    for field in kind.model_fields.values():
        for part in [field.annotation, *getattr(field.annotation, "__args__", ())]:
            if isinstance(part, type) and issubclass(part, Options):
                names |= option_names(part)
    return names


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["score.scorers=[]"], "recipe.score.scorers: "),
        (["score.scorers=[rubrik]"], "Did you mean 'rubric'?"),
        (["score.scorers=[ifd, ifd]"], "names one twice"),
        (["score.samples=3"], "recipe.score: samples 3 would all be the same"),
        (["score.samples=3", "score.reasoning=true", "score.temperature=0"], "samples 3 would all be the same"),
        (["score.scorers=[ifd]", "score.reasoning=true"], "reasoning is of no use to ifd"),
        (
            ["select={top_n: 9, weights: {ifd: 1}}"],
            "select.weights has ifd, which score.scorers lacks; allowed: rubric",
        ),
        (["select={top_n: 9, weights: {rubric: 0}}"], "at least one must be above 0"),
        (["select.weights={rubric: -1}"], "recipe.select.weights.rubric: "),
        (
            ["score.scorers=[rubric, ifd]", "select={min_score: 1}"],
            "no candidate reaches select.min_score 1.0 where several scorers are combined",
        ),
        (["score.scorers=[rubric, ifd]"], "no candidate reaches select.min_score 4.5 where several scorers"),
        (["judge.examples=contrast", "score.scorers=[additive]"], "score.scorers must have rubric (found: additive)"),
        (["judge.examples=contrast", "score.reasoning=true"], "with score.reasoning: false"),
        (["judge.ranked=[{path: x}]"], "recipe.judge: ranked: format 'pairs' of x holds no ranks"),
        (
            ["judge.ranked=[{path: x, format: oasst-trees}]", "score.scorers=[ifd]", "select={top_n: 9}"],
            "score.scorers must have rubric (found: ifd)",
        ),
        (["judge.kinds=[swapped, swapped]", "judge.per_pair=2"], "per_pair 2 is above the 1 kinds"),
        (["score.scorers=[ifd]"], "is the paper's level of the rubric, and ifd's scores are in nats"),
        (["score.scorers=[whole]"], "min_score 4.5 is above 1, the highest score of whole"),
        (["select={min_score: [4, 6]}"], "min_score 6.0 is above 5, the highest score of rubric"),
        (["random_seed=-1"], "recipe.random_seed: "),
    ],
)
def test_scorers_and_weights_that_make_no_sense_are_refused(tmp_path: Path, given: list[str], said: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(said)):
        load_recipe(write(tmp_path, GOOD), [f"recipe.{one}" for one in given])


def test_one_of_several_scorers_may_count_alone_on_its_own_scale(tmp_path: Path) -> None:
    given = ["recipe.score.scorers=[rubric, ifd]", "recipe.select={min_score: 4.5, weights: {rubric: 1}}"]
    assert load_recipe(write(tmp_path, GOOD), given).recipe.select.min_score == 4.5


def laughing(merge: bool) -> str:
    lines = ["a0: &a0 {k0: 1, k1: 2}"]
    for at in range(1, 12):
        copies = ", ".join([f"*a{at - 1}"] * 9)
        lines.append(f"a{at}: &a{at} " + (f"{{<<: [{copies}]}}" if merge else f"[{copies}]"))
    return "\n".join(lines)


ODD_YAML = {
    "aliases that multiply": (laughing(False), "aliases counted each time"),
    "merges that multiply": (laughing(True), "aliases counted each time"),
    "a list that holds itself": ("&a [*a]", "an alias holds itself"),
    "a mapping that holds itself": ("name: &a {b: [*a]}", "an alias holds itself"),
    "a merge of itself": ("a: &a\n  <<: *a\n  b: 1", "an alias holds itself"),
    "lists in lists": ("[" * 50_000, "nested more than"),
    "mappings in mappings": ("{a: " * 50_000, "nested more than"),
    "dashes": ("- " * 50_000 + "x", "nested more than"),
    "a chain of aliases": (
        "a0: &a0 [x]\n" + "\n".join(f"a{at}: &a{at} [*a{at - 1}]" for at in range(1, 100)),
        "nested more than",
    ),
    "many values": ("[" + "a," * 60_000 + "]", "more than 25,000 values"),
    "a number of 5,000 digits": ("name: 1" + "0" * 5000, "is too large"),
    "a hexadecimal number": ("name: 0x" + "f" * 5000, "is too large"),
    "a number in sixties": ("name: " + "59:" * 5000 + "59", "is too large"),
    "1e999": ("name: 1e999", "no finite number"),
    "-.inf": ("name: -.inf", "no finite number"),
    ".nan": ("name: .NaN", "no finite number"),
    "no number": ("name: 0x_", "not a number"),
    "a key twice": ("name: a\nname: b", "the key 'name' stands there twice"),
    "a key twice, deep down": ("recipe: {seed: {held_out: 1, 'held_out': 0}}", "the key 'held_out' stands there twice"),
    "python": ("name: !!python/object/apply:os.system [ls]", "the tag"),
    "bytes": ("name: !!binary aGk=", "the tag"),
    "a set": ("name: !!set {a}", "the tag"),
    "a timestamp": ("name: !!timestamp 2026-02-30", "the tag"),
    "a tag of its own": ("name: !mine x", "the tag"),
    "a mark of zero": ('name: "a\\0b"', "U+0000"),
    "half a surrogate": ('name: "\\ud800"', "U+D800"),
    "a bell": ("name: \x07", "not valid YAML"),
    "a tab": ("name:\n\t- x", "cannot start any token"),
    "two documents": ("name: a\n---\nname: b", "another document"),
    "a key that is a list": ("{[a]: b}", "unhashable key"),
    "no such alias": ("name: *a", "undefined alias"),
    "an open bracket": ("name: [", "line 1"),
    "a merge with a number": ("name: {<<: 3}", "for merging"),
    "nothing": ("", "expected a mapping with 'name' and 'recipe', found NoneType"),
    "a comment": ("# nothing\n", "found NoneType"),
    "a list": ("- name\n- recipe", "found list"),
    "a word": ("recipe", "found str"),
}


@pytest.mark.parametrize("name", ODD_YAML)
def test_whatever_yaml_can_hold_is_one_line(tmp_path: Path, name: str) -> None:
    text, said = ODD_YAML[name]
    path = tmp_path / "recipe.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and said in message and "\n" not in message and len(message) < 600, message
    if not text.startswith(("#", "- name")) and text not in ("", "recipe"):
        with pytest.raises(RecipeError, match=r"^--set "):
            load_recipe(write(tmp_path, GOOD), [f"recipe.forward.trl={text}"])


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        (b"\xff\xfen\x00a\x00", InputError, "cannot read the recipe"),
        (b"name: \xe9", InputError, "cannot read the recipe"),
        (b"name: a\0", RecipeError, "not valid YAML"),
        (b"#" * 1_000_001, RecipeError, "more than 1,000,000 bytes"),
        (b"\x1f\x8b\x08\x00", InputError, "cannot read the recipe"),
        (b"\x7fELF\x00", RecipeError, "not valid YAML"),
    ],
)
def test_bytes_that_are_no_recipe_are_one_line(tmp_path: Path, data: bytes, error: type[Exception], said: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(data)
    with pytest.raises(error, match=said) as caught:
        load_recipe(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/zero"), tmp_path / "nowhere", tmp_path / ("n" * 300), "a\0b"):
        with pytest.raises(InputError) as caught:
            load_recipe(path)
        assert "\n" not in str(caught.value)


def test_a_mark_at_the_beginning_merges_and_dates_are_read_as_they_look(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    merged = GOOD + "  forward: &f {learning_rate: 1e-4, steps: 3}\n  backward: {<<: *f, steps: 5}\n"
    path.write_bytes(b"\xef\xbb\xbf" + merged.replace("name: x", "name: 2026-02-30").encode())
    file = load_recipe(path)
    assert isinstance(file.recipe.backward, Backward)
    assert (file.name, file.recipe.backward.steps, file.recipe.backward.learning_rate) == ("2026-02-30", 5, 1e-4)


ODD_VALUES = [
    ("recipe.base", "n" * 300, "a name in it 255"),
    ("recipe.base", "a/" * 3000, "at most 4096 bytes"),
    ("recipe.chat_template", "é" * 130, "a name in it 255"),
    ("recipe.corpus.sources.0.path", '"a\\nb"', "no control characters"),
    ("recipe.corpus.sources.0.path", "~no-such-user-here/x", "there is no such user"),
    ("recipe.seed.sources.0.path", "~no-such-user-here", "there is no such user"),
    ("recipe.seed.decontaminate", f"[{'n' * 300}]", "a name in it 255"),
    ("recipe.corpus.word_lists", f"[{{path: {'n' * 300}}}]", "a name in it 255"),
    ("recipe.judge.ranked", f"[{{path: {'n' * 300}, format: oasst-trees}}]", "a name in it 255"),
    ("resources.runs", "n" * 300, "a name in it 255"),
    ("resources.engine.tokenizer", "n" * 300, "a name in it 255"),
    ("name", "n" * 101, "should match pattern"),
    ("recipe.random_seed", "99999999999999999999", "is too large"),
    ("recipe.augment.temperature", "inf", "finite number"),
    ("recipe.forward.learning_rate", "'nan'", "finite number"),
    ("resources.usd_per_hour", "Infinity", "finite number"),
    ("x" * 5000, "1", "unknown key"),
    (".".join(["recipe"] * 5000), "1", "unknown key"),
    ("recipe.corpus.sources." + "9" * 5000, "1", "no such place"),
    ("recipe.base", "[1, {a: b}]", "valid string"),
]


@pytest.mark.parametrize(
    ("key", "value", "said"), ODD_VALUES, ids=[f"{key[:30]}-{at}" for at, (key, *_) in enumerate(ODD_VALUES)]
)
def test_odd_values_are_one_line(tmp_path: Path, key: str, value: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, GOOD), [f"{key}={value}"])
    message = str(caught.value)
    assert said in message and "\n" not in message and len(message) < 900, message


def test_a_thousand_problems_are_told_in_part(tmp_path: Path) -> None:
    text = GOOD + "".join(f"  unknown{at}: 1\n" for at in range(1000))
    with pytest.raises(RecipeError) as caught:
        load_recipe(write(tmp_path, text))
    assert str(caught.value).count("\n") == 50 and str(caught.value).endswith("and 950 more problems")


def test_a_change_of_one_place_leaves_the_other_that_an_alias_made(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    seed, corpus = "{sources: [{path: s}]}", "{sources: [{format: text, path: t}]}"
    rates = "backward: &rates {learning_rate: 1.0e-5}, forward: *rates"
    path.write_text(f"name: n\nrecipe: {{seed: {seed}, corpus: {corpus}, {rates}}}\n")
    file = load_recipe(path, ["recipe.forward.learning_rate=3.0e-4"]).recipe
    assert isinstance(file.forward, Training) and isinstance(file.backward, Training)
    assert (file.forward.learning_rate, file.backward.learning_rate) == (3e-4, 1e-5)


def test_every_path_may_begin_with_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    lists = "word_lists: [{path: ~/words.txt}], decontaminate: [~/tasks.jsonl]"
    (tmp_path / "r.yaml").write_text(
        f"name: n\nrecipe: {{base: ~/model, seed: {{sources: [{{path: ~/s.jsonl}}]}}, select: {{top_n: 1, labels: ~/l}}, "
        f"corpus: {{sources: [{{format: text, path: ~/t}}, {{format: text, path: 'https://h/~x//y/'}}], {lists}}}}}\n"
        "resources: {runs: ~/runs}\n"
    )
    file = load_recipe(tmp_path / "r.yaml")
    recipe, corpus = file.recipe, file.recipe.corpus
    found = [recipe.base, recipe.seed.sources[0].path, recipe.select.labels, *(one.path for one in corpus.sources)]
    found += [corpus.word_lists[0].path, *corpus.decontaminate, file.resources.runs]
    home, url = "/home/ada", "https://h/~x//y/"
    names = ("model", "s.jsonl", "l", "t")
    assert found == [
        *(f"{home}/{name}" for name in names),
        url,
        f"{home}/words.txt",
        f"{home}/tasks.jsonl",
        f"{home}/runs",
    ]
