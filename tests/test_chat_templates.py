"""What a chat template puts before an answer is no part of it, on any side; and no template is without end."""

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest

from askback import prompts
from askback.engines.local.loading import load_tokenizer
from askback.engines.local.transformers_local import TransformersLocal
from askback.errors import InputError
from askback.models import chat_template, read_chat_template
from askback.models.chat_template import THINKING_OFF, TODAY, TemplateFault, outputs, render_chat
from askback.prompts.prompt import ask
from askback.prompts.rendering import read_text
from askback.recipe import EngineOptions
from askback.records import Example, Lesson, Provenance, exchange
from askback.train.training_rows import tokenize
from tests.tiny import CHATML, build_tiny_model, build_tokenizer
from tests.train.examples import asked_of, learnt_of

EACH = "{% for m in messages %}"
TURN = "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
ASSISTANT = "<|im_start|>assistant\n"


def scaffolded(answer: str, asked: str = ASSISTANT) -> str:
    """A ChatML template with its own form of an assistant's turn, and of a generation prompt."""
    return (
        f"{EACH}{{% if m.role == 'assistant' %}}{answer}{{% else %}}{TURN}{{% endif %}}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{asked}{{% endif %}}"
    )


SCAFFOLDS = {
    "empty-block": (
        scaffolded(f"{ASSISTANT}<think>\n\n</think>\n\n{{{{ m.content }}}}<|im_end|>\n"),
        f"{ASSISTANT}<think>\n\n</think>\n\n",
    ),
    "open-block": (
        scaffolded(f"{ASSISTANT}<think>\n\n</think>\n\n{{{{ m.content }}}}<|im_end|>\n", f"{ASSISTANT}<think>\n"),
        f"{ASSISTANT}<think>\n\n</think>\n\n",
    ),
    "only-when-asked": (
        scaffolded(f"{ASSISTANT}{{{{ m.content }}}}<|im_end|>\n", f"{ASSISTANT}<reasoning>\n"),
        ASSISTANT,
    ),
    "channel": (
        scaffolded(
            "<|im_start|>assistant<|channel|>final<|message|>{{ m.content }}<|im_end|>", "<|im_start|>assistant"
        ),
        "<|im_start|>assistant<|channel|>final<|message|>",
    ),
    "begins-the-answer": (
        scaffolded(f"{ASSISTANT}{{{{ m.content }}}}<|im_end|>\n", f"{ASSISTANT}Sure, here it is:\n"),
        ASSISTANT,
    ),
    "named-otherwise": (
        scaffolded(f"{ASSISTANT}[CALM][/CALM]\n### Reply\n{{{{ m.content }}}}\n### End<|im_end|>\n"),
        f"{ASSISTANT}[CALM][/CALM]\n### Reply\n",
    ),
    "default-system": (
        "<|im_start|>system\nYou are calm. Today is {{ strftime_now('%d %B %Y') }}.<|im_end|>\n" + CHATML,
        ASSISTANT,
    ),
    "thinking-offered": (
        "{% if enable_thinking is not defined or enable_thinking %}<|im_start|>system\nReason first.<|im_end|>\n{% endif %}"
        + scaffolded(
            f"{ASSISTANT}{{% if not enable_thinking %}}<think></think>{{% endif %}}{{{{ m.content }}}}<|im_end|>"
        ),
        f"{ASSISTANT}<think></think>",
    ),
    "space": (
        f"{EACH}{{% if m.role == 'user' %}}[INST] {{{{ m.content }}}} [/INST]"
        "{% else %} {{ m.content | trim }} <|im_end|>{% endif %}{% endfor %}",
        "[/INST]",
    ),
}
"""A template, and what its prompt ends with."""


@pytest.fixture(scope="module")
def plain() -> Any:
    return build_tokenizer()


def with_template(tokenizer: Any, source: str) -> Any:
    made = copy.deepcopy(tokenizer)
    made.chat_template = source
    return made


@pytest.mark.parametrize("name", SCAFFOLDS)
def test_what_stands_before_an_answer_is_the_prompts_everywhere(name: str, plain: Any) -> None:
    source, ending = SCAFFOLDS[name]
    tokenizer = with_template(plain, source)
    prompts.check_template(tokenizer, "t.jinja")
    example = Example(
        "1", exchange("How are eggs boiled?", "Six minutes.\n\nTen for a hard one."), Provenance(), "seed", "train"
    )
    judged = Lesson("2", exchange("How?", "So."), Provenance(), 4)
    for row, prompt, answer in (
        (
            tokenize(tokenizer, example, "forward", 2000),
            prompts.forward(ask(example.instruction).turns, "seed"),
            example.output,
        ),
        (tokenize(tokenizer, example, "backward", 2000), prompts.backward(example.output), example.instruction),
        (tokenize(tokenizer, judged, "forward", 2000), prompts.rubric("How?", "So."), " 4"),
    ):
        assert row is not None
        assert asked_of(row) == prompts.render(tokenizer, prompt), "training, scoring and sampling begin alike"
        assert (asked_of(row), learnt_of(row)) == prompts.render_pair(tokenizer, prompt, answer)
        text = tokenizer.decode(asked_of(row)).removesuffix(prompt.answer_start).rstrip(" ")
        assert text.endswith(ending), text
        assert learnt_of(row)[-1] == tokenizer.eos_token_id and learnt_of(row).count(tokenizer.eos_token_id) == 1
        assert prompts.read(tokenizer, learnt_of(row)[:-1]).strip() == answer.strip(), "what is learnt is what is read"
        learnt = tokenizer.decode(learnt_of(row))
        assert "think>" not in learnt and "CALM" not in learnt and "channel" not in learnt
        assert not prompts.rewrites(tokenizer, prompt, answer)


def test_spaces_before_an_answer_go_with_its_first_word(plain: Any) -> None:
    tokenizer = with_template(plain, SCAFFOLDS["space"][0])
    asked, answer = prompts.render_pair(tokenizer, ask("Why?"), "So.")
    assert (tokenizer.decode(asked), tokenizer.decode(answer)) == ("[INST] Why? [/INST]", " So. <|im_end|>")
    asked, answer = prompts.render_pair(tokenizer, ask("Why?", "Score:"), " 4")
    assert (tokenizer.decode(asked), tokenizer.decode(answer)) == ("[INST] Why? [/INST] Score:", " 4 <|im_end|>")


REWRITING = {
    "capitals": scaffolded(f"{ASSISTANT}{{{{ m.content | upper }}}}<|im_end|>"),
    "title": scaffolded(f"{ASSISTANT}{{{{ m.content | title }}}}<|im_end|>"),
    "cut": scaffolded(f"{ASSISTANT}{{{{ m.content[:2000] }}}}<|im_end|>"),
    "one-line": scaffolded(f"{ASSISTANT}{{{{ m.content | replace('\\n', ' ') }}}}<|im_end|>"),
    "escaped": scaffolded(f"{ASSISTANT}{{{{ m.content | e }}}}<|im_end|>"),
    "split": scaffolded(f"{ASSISTANT}{{{{ m.content.split(':')[-1] }}}}<|im_end|>"),
    "left-out": scaffolded(f"{ASSISTANT}<|im_end|>"),
    "words": scaffolded(f"{ASSISTANT}{{{{ m.content.split() | join(' ') }}}}<|im_end|>"),
    "json": scaffolded(f"{ASSISTANT}{{{{ m.content | tojson }}}}<|im_end|>"),
    "counted": scaffolded(f"{ASSISTANT}({{{{ m.content | length }}}}) {{{{ m.content }}}}<|im_end|>"),
    "twice": scaffolded(f"{ASSISTANT}{{{{ m.content }}}}: {{{{ m.content }}}}<|im_end|>"),
    "no-code": scaffolded(f"{ASSISTANT}{{{{ m.content | replace('`', '') }}}}<|im_end|>"),
    "user-capitals": CHATML.replace(
        "message['content']", "message['content'] | upper if message.role == 'user' else message.content"
    ),
    "user-cut": CHATML.replace("message['content']", "message['content'][:9000]"),
    "no-stop": CHATML.replace("<|im_end|>", ""),
    "refuses": "{{ raise_exception('Only tools are allowed') }}",
    "only-first": "<|im_start|>user\n{{ messages[0].content }}<|im_end|>",
}


@pytest.mark.parametrize("name", REWRITING)
def test_a_template_that_alters_what_is_said_is_refused(name: str, plain: Any) -> None:
    with pytest.raises(
        InputError, match=r"^mine\.jinja: the chat template .*; give another with chat_template:$"
    ) as caught:
        prompts.check_template(with_template(plain, REWRITING[name]), "mine.jinja")
    assert "\n" not in str(caught.value)


def test_what_is_altered_only_in_some_answers_is_found_by_trying_them(plain: Any) -> None:
    tokenizer = with_template(plain, scaffolded(f"{ASSISTANT}{{{{ m.content | replace('copper', 'tin') }}}}<|im_end|>"))
    prompts.check_template(tokenizer, "mine.jinja")
    assert prompts.rewrites(tokenizer, ask("Why?"), "A copper engine.")
    assert not prompts.rewrites(tokenizer, ask("Why?"), "A tin engine.")
    _, answer = prompts.render_pair(tokenizer, ask("Why?"), "A copper engine.")
    assert tokenizer.decode(answer) == "A copper engine.<|im_end|>", "what is learnt is what was written"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("<think>\n\n</think>\n\nWhat is it?", "What is it?"),
        ("<think>Let me see.\nA river?</think>What is it?", "What is it?"),
        ("\n <think>a</think>\n<think>b</think>\nWhat is it?", "What is it?"),
        ("Let me see.\n</think>\n\nWhat is it?", "What is it?"),
        ("Let me see.</think>\nWhat is it?", "What is it?"),
        ("</think>\n\nWhat is it?", "What is it?"),
        ("<think>It could be a river, or", ""),
        ("What is it?\n<think>Was that right?", "What is it?"),
        ("<thinking>a</thinking>What is it?", "What is it?"),
        ("[THINK]a[/THINK]What is it?", "What is it?"),
        ("<|channel|>analysis<|message|>a<|channel|>final<|message|>What is it?", "What is it?"),
        ("<reflection>\na", ""),
        ("What does the tag <think> do?", "What does the tag <think> do?"),
        ("What do <think> and </think> do in a template?", "What do <think> and </think> do in a template?"),
        ("Is </think> a tag of HTML?", "Is </think> a tag of HTML?"),
        ("What is <b>it</b>?", "What is <b>it</b>?"),
        (" 4", " 4"),
    ],
)
def test_a_reasoning_is_no_part_of_an_answer(written: str, read: str, plain: Any) -> None:
    assert prompts.without_reasoning(written).strip() == read.strip()
    assert read_text(plain, written).strip() == read.strip()
    tokens = plain(written, add_special_tokens=False)["input_ids"]
    assert prompts.read(plain, tokens).strip() == read.strip()


def test_the_templates_own_scaffolding_is_taken_off_where_a_model_repeats_it(plain: Any) -> None:
    for name, written in (
        ("named-otherwise", "[CALM][/CALM]\n### Reply\nWhat is it?\n### End"),
        ("named-otherwise", "[CALM]Let me see.[/CALM]\nWhat is it?"),
        ("named-otherwise", "[CALM]Let me"),
        ("open-block", "</think>\n\nWhat is it?"),
        ("channel", "<|channel|>final<|message|>What is it?"),
    ):
        read = read_text(with_template(plain, SCAFFOLDS[name][0]), written).strip()
        assert read == ("" if written.endswith("me") else "What is it?"), (name, written, read)


def test_special_tokens_that_mark_a_reasoning_take_it_with_them() -> None:
    tokenizer = build_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["[THINK]", "[/THINK]"]})
    ids = tokenizer("[THINK]Let me see.[/THINK]What is it?<|endoftext|>", add_special_tokens=False)["input_ids"]
    assert prompts.read(tokenizer, ids) == "What is it?"


USED = {
    "chatml": CHATML,
    "loops": "{{ bos_token }}{%- for m in messages -%}{% if loop.first %}A{% endif %}\n  "
    "{% if m.role == 'x' %}{% continue %}{% endif %}{{ m.role | capitalize }}: "
    "{{ m['content'] | trim }}{{ eos_token }}{% endfor %}",
    "namespace": "{% set ns = namespace(found=false, n=0) %}{% for m in messages[::-1] %}{% set ns.found = true %}"
    "{% set ns.n = ns.n + loop.index0 * 2 %}{% endfor %}{{ ns.found }}{{ ns.n }}{{ messages[0].content ~ '!' ~ 3 }}",
    "macros": "{% macro turn(m, end='.') %}<{{ m.role }}>{{ m.content }}{{ end }}{% endmacro %}{{ turn(messages[0]) }}",
    "tools": "{% if tools %}{{ tools | tojson }}{% endif %}{{ messages | tojson(indent=2) }}{{ documents is none }}",
    "generation": "{% for m in messages %}{% generation %}{% set x = m.content %}{{ x }}{% endgeneration %}{% endfor %}",
    "selects": "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | join(', ') }}"
    "{{ dict(a=1) }}",
    "strings": "{% set c = messages[-1].content %}{{ c.split('\\n')[0].strip() + c[2:5] ~ c | length }}"
    "{{ '%s-%d' % (c, 3) }}",
}


@pytest.mark.parametrize("name", USED)
def test_templates_are_rendered_as_the_library_renders_them(name: str, plain: Any) -> None:
    turns = [{"role": "user", "content": "Why, <b>you</b>?\n\nWell"}, {"role": "assistant", "content": "Só.\nIndeed"}]
    special = {"bos_token": plain.bos_token, "eos_token": plain.eos_token, "pad_token": plain.pad_token}
    for generation in (False, True):
        theirs = plain.apply_chat_template(
            turns, chat_template=USED[name], tokenize=False, add_generation_prompt=generation, **THINKING_OFF
        )
        assert render_chat(USED[name], turns, special, generation) == theirs


TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "you"}]
DOUBLING = "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = BODY %}{% endfor %}{{ n.x }}"
ENDLESS = {
    "range": "{% for i in range(10**9) %}x{% endfor %}",
    "nested": "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}",
    "three-deep": "".join(f"{{% for {x} in range(500) %}}" for x in "abc") + "{% endfor %}" * 3,
    "joined": DOUBLING.replace("BODY", "n.x ~ n.x"),
    "added": DOUBLING.replace("BODY", "n.x + n.x"),
    "lists": DOUBLING.replace("BODY", "n.x + n.x").replace("'a'", "[1]"),
    "filtered": "{{ 'a'" + "| replace('a', 'aaaaaaaaaa')" * 30 + " }}",
    "block-set": DOUBLING.replace("{% set n.x = BODY %}", "{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}"),
    "power": "{{ 10 ** 10 ** 8 }}",
    "squares": "{% set n = namespace(x=9) %}{% for i in range(60) %}{% set n.x = n.x * n.x %}{% endfor %}{{ n.x }}",
    "times": "{{ 'a' * 10**9 }}",
    "format": "{{ '%999999999d' | format(1) }}",
    "str-format": "{{ '{:999999999}'.format(1) }}",
    "centre": "{{ 'a' | center(10**9) | length }}",
    "indent": "{{ [[1, 2], [3]] | tojson(indent=10**9) }}",
    "macro": "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
    "macro-tree": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
    "recursive-loop": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "parentheses": "{{ " + "(" * 9000 + "1" + ")" * 9000 + " }}",
    "blocks": "{% if 1 %}" * 3000 + "{% endif %}" * 3000,
    "output": "{% for i in range(900) %}" + "x" * 2000 + "{% endfor %}",
    "source": "x" * 300_000,
}
REACHING = {
    "class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals": "{{ cycler.__init__.__globals__.os.environ }}",
    "attr-filter": "{{ messages | attr('__class__') | attr('__base__') }}{{ (messages | attr('__class__')).x }}",
    "map-attribute": "{{ messages | map(attribute='__class__.__mro__') | list }}{{ messages[0].__class__ }}",
    "format": "{{ '{0.__class__.__init__}'.format(messages) }}",
    "format-map": "{{ '{a.__class__}'.format_map({'a': 1}) }}",
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import 'os' as os %}{{ os }}",
    "extends": "{% extends '/etc/passwd' %}",
    "namespace": "{% set n = namespace(__class__=1) %}",
    "environment": "{{ self.__init__.__globals__ }}",
    "function": "{{ raise_exception.__globals__ }}",
    "mutation": "{% do messages.append(1) %}{{ messages.append(1) }}",
}
CHANGING = {
    "address": "{{ messages.copy }}",
    "address-of-a-function": "{{ range }} {{ strftime_now }}",
    "random": "{{ [1, 2, 3] | random }}",
    "lipsum": "{{ lipsum() }}",
    "seconds": "{{ strftime_now('%s') }}",
    "zone": "{{ strftime_now('%c %Z') }}",
    "now": "{{ now() }}",
    "generator": "{{ messages | map('upper') }}",
}


@pytest.mark.parametrize(
    ("group", "name"),
    [(g, n) for g, d in (("ENDLESS", ENDLESS), ("CHANGING", CHANGING)) for n in d],
)
def test_no_template_is_without_end_or_changes(group: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "CPU_SECONDS", 1)
    with pytest.raises(TemplateFault) as caught:
        outputs(globals()[group][name], [TURNS], {})
    assert "\n" not in str(caught.value) and "root:" not in str(caught.value)


@pytest.mark.parametrize("name", REACHING)
def test_no_template_reaches_files_or_what_is_pythons(name: str) -> None:
    try:
        written = render_chat(REACHING[name], TURNS, {}, False)
    except TemplateFault as fault:
        written = str(fault).partition("of '")[0].replace("'__class__'", "")
    assert not any(sign in written for sign in ("class", "function", "root:", "PATH", " at 0x")), written


def test_the_date_is_the_same_on_every_day(monkeypatch: pytest.MonkeyPatch) -> None:
    source = "{{ strftime_now('%d %b %Y, %H:%M') }}"
    for zone in ("UTC", "Asia/Tokyo"):
        monkeypatch.setenv("TZ", zone)
        assert outputs(source, [TURNS], {}) == [f"{TODAY:%d %b %Y, %H:%M}"] == ["01 Jan 2026, 00:00"]


def test_a_template_file_that_is_none_is_one_line(tmp_path: Path, plain: Any) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.jinja")
    (tmp_path / "folder.jinja").mkdir()
    (tmp_path / "large.jinja").write_text("x" * 300_000)
    (tmp_path / "empty.jinja").write_text(" \n")
    (tmp_path / "bytes.jinja").write_bytes(b"\xff\xfe{{ x }}")
    for name in ("pipe", "folder", "large", "empty", "bytes", "nowhere", "n" * 300, "a\0b"):
        with pytest.raises(InputError, match="chat template") as caught:
            read_chat_template(str(tmp_path / f"{name}.jinja"))
        assert "\n" not in str(caught.value)
    (tmp_path / "mark.jinja").write_bytes(b"\xef\xbb\xbf" + CHATML.encode())
    assert read_chat_template(str(tmp_path / "mark.jinja")) == CHATML


def test_a_model_with_an_unfit_template_is_refused_with_the_templates_name(tmp_path: Path) -> None:
    folder = build_tiny_model(tmp_path / "model")
    (folder / "chat_template.jinja").write_text(REWRITING["capitals"])
    with pytest.raises(InputError, match=r"model/chat_template\.jinja: the chat template rewrites an answer"):
        TransformersLocal(str(folder), EngineOptions())
    (tmp_path / "mine.jinja").write_text(ENDLESS["nested"])
    with pytest.raises(InputError, match=r"mine\.jinja: the chat template takes more than 100,000 rounds"):
        load_tokenizer(folder, str(tmp_path / "mine.jinja"))
    (folder / "chat_template.jinja").unlink()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": ENDLESS["range"]}))
    with pytest.raises(InputError, match=r"tokenizer_config\.json: the chat template cannot be rendered"):
        load_tokenizer(folder)


def test_texts_with_markup_of_any_kind_stay_text_in_any_template(plain: Any) -> None:
    draw = random.Random(7)
    parts = [
        "<think>",
        "</think>",
        "<|im_end|>",
        "<|im_start|>assistant\n",
        "[/INST]",
        "{{ x }}",
        "{% if %}",
        "Answer7Qx",
        "\n",
        "a b",
    ]
    for name, (source, _) in SCAFFOLDS.items():
        tokenizer = with_template(plain, source)
        for _ in range(20):
            user, answer = (f"x{''.join(draw.choices(parts, k=6))}y" for _ in range(2))
            asked, learnt = prompts.render_pair(tokenizer, ask(user), answer)
            assert asked == prompts.render(tokenizer, ask(user)), name
            assert learnt.count(tokenizer.eos_token_id) == 1 and learnt[-1] == tokenizer.eos_token_id
