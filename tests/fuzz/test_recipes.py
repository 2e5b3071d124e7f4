"""Recipes and chat templates, those there are with something odd put in: one line for each fault, and an end."""

import copy
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from askback.errors import AskbackError, RecipeError
from askback.models.chat_template import CPU_SECONDS, TemplateFault, outputs
from askback.plan import Plan
from askback.recipe.file import MOST_SHOWN, load_recipe
from tests.tiny import CHATML

SIZE = float(os.environ.get("ASKBACK_FUZZ", "1"))
RECIPES = [path.read_text("utf-8") for path in sorted((Path(__file__).parents[2] / "recipes").rglob("*.yaml"))]
CPU_LIMIT = 10.0

VALUES: list[Any] = [
    *(None, True, 0, -1, 1, 0.5, 10**12, -(10**18), 2**63, 10**400, 1e308, float("inf"), float("nan"), "", " ", "x"),
    *(
        "inf",
        "nan",
        "1e999",
        "0x10",
        "٣",
        "2026-02-30",
        "[",
        "**",
        "a**b",
        "**/[",
        "/**/../..",
        "~",
        "~nobody-here",
        "~/x",
    ),
    *("n" * 300, "a/" * 3000, "a\nb", "a\tb", "é" * 200, "日本" * 99, "../../etc", "/dev/zero", "/dev/null", "/", "."),
    *(
        "hub:",
        "hub:x:y:z",
        "builtin:",
        "builtin:none",
        "https://",
        "http://[",
        "zip://::",
        "memory://x",
        "file://",
        "://",
    ),
    *(
        "${HOME}",
        "${NO_SUCH_VARIABLE}",
        "${NO_SUCH:-x}",
        "${",
        "${}",
        "$HOME",
        "\u202e",
        "\u2028",
        "🙂",
        "\ufeff",
        "null",
    ),
    *([], {}, [[]], [{}], [None], {"a": {}}, {"": ""}, ["x"] * 50, [1, "x", None], {"path": "x"}, [{"path": "x"}]),
]
TEXTS = [
    *(
        "\t",
        "\0",
        "\x07",
        "\ufeff",
        "\x85",
        "\u2028",
        "&a ",
        "*a",
        "<<: *a\n",
        "!!python/name:os.system ",
        "!!binary ",
        "!x ",
    ),
    *(
        "---\n",
        "...\n",
        "%YAML 9\n",
        "{",
        "}",
        "[",
        "]",
        "[" * 200,
        "- " * 100,
        "? ",
        ": ",
        ", ",
        "|",
        ">-",
        "'",
        '"',
        "#",
    ),
    *(
        '"\\0"',
        '"\\ud800"',
        "1:2:3",
        ".inf",
        "1e999",
        "0x" + "f" * 99,
        "9" * 5000,
        "name: twice\n",
        "recipe: *a\n",
        "&a [*a]",
    ),
]


def places(tree: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [place, *(one for key, value in inner for one in places(value, (*place, key)))]


def altered(chance: random.Random, tree: dict[str, Any]) -> dict[str, Any]:
    tree = copy.deepcopy(tree)
    for _ in range(chance.randint(1, 3)):
        place = chance.choice([one for one in places(tree) if one])
        node = tree
        for part in place[:-1]:
            node = node[part]
        act = chance.randrange(4)
        if act == 0:
            del node[place[-1]]
        elif act == 1 and isinstance(node, dict):
            keyed: dict[Any, Any] = node
            keyed[chance.choice(["", "x", "path", "limit", 1, None, "n" * 300])] = chance.choice(VALUES)
        else:
            node[place[-1]] = copy.deepcopy(chance.choice(VALUES))
    return tree


def recipe_text(chance: random.Random) -> bytes:
    text = chance.choice(RECIPES)
    if chance.random() < 0.7:
        text = yaml.safe_dump(altered(chance, yaml.safe_load(text)), allow_unicode=chance.random() < 0.5)
    for _ in range(chance.choice([0, 0, 1, 2])):
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice(TEXTS) + text[at + chance.choice([0, 0, 1, 9]) :]
    data = text.encode("utf-8", "surrogatepass")
    if chance.random() < 0.05:
        at = chance.randrange(len(data) + 1)
        data = data[:at] + bytes(chance.randrange(256) for _ in range(4)) + data[at:]
    return data.decode("utf-8", "replace").encode("utf-16") if chance.random() < 0.02 else data


def overrides(chance: random.Random) -> list[str]:
    if chance.random() < 0.6:
        return []
    tree = yaml.safe_load(RECIPES[0])
    key = ".".join(map(str, chance.choice([one for one in places(tree) if one])))
    value = yaml.safe_dump(chance.choice(VALUES), default_flow_style=True, allow_unicode=True).removesuffix("...\n")
    given = chance.choice([value, chance.choice(TEXTS)])
    return [f"{key}{chance.choice(['=', '=', '=', '', '.x=', '.0=', '.-1=', '..='])}{given}"]


def fault_of(path: Path, changes: list[str], plan: bool) -> str:
    """What is said of a recipe; of one that is read, that it is written as it was, and what its plan says."""
    try:
        file = load_recipe(path, changes)
        again = path.with_name("again.yaml")
        again.write_text(yaml.safe_dump(file.as_written(), sort_keys=False, allow_unicode=True), "utf-8")
        assert load_recipe(again) == file
        if plan:
            Plan(file, forecast=False)
    except AskbackError as error:
        lines = str(error).splitlines()
        assert 2 <= error.exit_code <= 11
        assert 1 <= len(lines) <= MOST_SHOWN + 1 and (len(lines) == 1 or isinstance(error, RecipeError)), lines
        assert all(0 < len(line) < 7000 for line in lines), lines
        return str(error)
    return ""


def test_any_recipe_is_read_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASKBACK_HIDDEN", "")
    chance, read = random.Random(11), 0
    for number in range(round(50 * SIZE)):
        path, changes = tmp_path / "recipe.yaml", overrides(chance)
        path.write_bytes(recipe_text(chance))
        began = time.process_time()
        try:
            read += not fault_of(path, changes, plan=number % 4 == 0)
        except Exception as error:
            kept = shutil.copy(path, tmp_path / "failed.yaml")
            raise AssertionError(f"round {number}, {kept}, --set {changes}: {type(error).__name__}: {error}") from error
        assert time.process_time() - began < CPU_LIMIT, (number, changes)
    assert read > 0, "some are sound, or nothing but the reader of YAML was tried"


PIECES = [
    *(
        "{{ m.content }}",
        "{{ m['role'] }}",
        "<|im_end|>",
        "{{ eos_token }}",
        "\n",
        "{% set x = m.content %}",
        "{{ x }}",
    ),
    *(
        "{{ x ~ x }}",
        "{% set x = x ~ x %}",
        "{{ x * 9999 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ x.__class__ }}",
        "{{ x | center(10**8) }}",
    ),
    *(
        "{{ x | replace('a', 'aaaaaaaa') }}",
        "{{ messages }}",
        "{{ messages | tojson }}",
        "{{ now() }}",
        "{{ x.split('a') }}",
    ),
    *(
        "{% include 'x' %}",
        "{{ raise_exception('no') }}",
        "{{ strftime_now('%Y %s') }}",
        "{{ x | random }}",
        "{{ undefined.x }}",
    ),
    *(
        "{% break %}",
        "{% endfor %}",
        "{% else %}",
        "{%",
        "}}",
        "{#",
        "{{ '%99999999d' % 1 }}",
        "{{ range(99999) | list }}",
    ),
]
BLOCKS = [
    *(
        "{%% for i in range(9000) %%}%s{%% endfor %%}",
        "{%% for m in messages %%}%s{%% endfor %%}",
        "{%% if x %%}%s{%% endif %%}",
    ),
    *(
        "{%% macro f(x) %%}%s{{ f(x) }}{%% endmacro %%}{{ f(1) }}",
        "{%% set x %%}%s{%% endset %%}",
        "{%% generation %%}%s",
    ),
    *(
        "{%% filter upper %%}%s{%% endfilter %%}",
        "{%% for a in x %%}%s{%% endfor %%}",
        "{%% call f() %%}%s{%% endcall %%}",
    ),
]


def template(chance: random.Random, depth: int = 0) -> str:
    made = []
    for _ in range(chance.randint(1, 4)):
        inner = chance.random() < 0.4 and depth < 4
        made.append(chance.choice(BLOCKS) % template(chance, depth + 1) if inner else chance.choice(PIECES))
    return "".join(made)


def source(chance: random.Random) -> str:
    at = chance.randrange(len(CHATML))
    made = template(chance)
    if chance.random() < 0.5:
        return CHATML[:at] + made + CHATML[at:]
    return "{% for m in messages %}" + made + "{% endfor %}"


def test_any_template_is_rendered_or_refused() -> None:
    chance = random.Random(12)
    turns = [{"role": "user", "content": "A banana, {{ x }}?"}, {"role": "assistant", "content": "Yes.\n<b>All</b>"}]
    for number in range(round(12 * SIZE)):
        text = source(chance)
        began = os.times()
        try:
            made = outputs(text, [turns, turns], {"eos_token": "<|im_end|>"})
            assert made[0] == made[1]
        except TemplateFault as fault:
            assert str(fault) and "\n" not in str(fault) and len(str(fault)) < 400
        except Exception as error:
            raise AssertionError(f"round {number}: {type(error).__name__}: {error}: {text}") from error
        spent = sum(os.times()[:4]) - sum(began[:4])
        assert spent < 2 * CPU_SECONDS + 2, (number, spent, text)
