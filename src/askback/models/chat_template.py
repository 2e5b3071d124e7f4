"""Chat templates: untrusted Jinja, rendered in a sandbox and within bounds, alike on every day and machine.

A template comes with a model that somebody else made. It sees plain text and nothing else: no files, no imports, no
attributes of Python's objects. Rounds of loops, calls of macros and characters of output are counted, which does not
depend on the machine. What counting cannot bound (one filter that asks for a gigabyte) is found before the template is
used: `outputs` renders in a process with a limit of CPU seconds and of memory.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

TODAY = datetime(2026, 1, 1)
"""The date of every rendering, for templates that write one: training and inference must not differ by the day."""
THINKING_OFF = {"enable_thinking": False, "thinking": False}
"""Switches a model's reasoning off, in templates that can: what is taught here is an answer without reasoning."""
MOST_SOURCE = 256 * 1024
"""Largest number of characters of a template; the longest in use have 30,000."""
MOST_ROUNDS = 100_000
"""Largest number of rounds of loops and calls of macros in one rendering."""
MOST_OUTPUT = 1_000_000
"""Largest number of characters of one rendering, beyond four times those of its messages."""
MOST_BITS = 256
"""Largest number of bits of an integer."""
CPU_SECONDS, MEMORY = 5, 2**29
"""Limits of the process that tries a template: CPU seconds, and bytes of memory beyond those it starts with."""

BUILTIN = {"builtin:inst": Path(__file__).parent / "inst.jinja"}
"""Templates that come with askback, for base models that have none."""

Turns = Sequence[dict[str, str]]


class TemplateFault(Exception):
    """A template cannot be used; the text is the predicate of a sentence about it."""


def template_path(name: str) -> Path:
    """Return the file of a chat template, given one of `BUILTIN` or a path."""
    return BUILTIN.get(name) or Path(name).expanduser()


def render_chat(source: str, turns: Turns, special: dict[str, str], generation: bool) -> str:
    """Return a conversation as a template renders it.

    Args:
        special: the special tokens that templates name, such as ``eos_token``.
        generation: whether the beginning of an answer follows the last turn.

    Raises:
        TemplateFault: it cannot be compiled or rendered, or exceeds a bound.
    """
    try:
        template = _compiled(source)
        environment: Any = template.environment
        size = sum(len(turn["content"]) for turn in turns)
        environment.begin(MOST_OUTPUT + 4 * size)
        given = {"messages": [dict(turn) for turn in turns], "add_generation_prompt": generation}
        parts = template.generate(**special, **THINKING_OFF, **given, tools=None, documents=None)
        return "".join(environment.counted(parts))
    except TemplateFault:
        raise
    except RecursionError as error:
        raise TemplateFault("calls itself without end, or is nested too deeply") from error
    except MemoryError as error:
        raise TemplateFault("needs too much memory") from error
    except Exception as error:  # a template can raise whatever Python's operators and methods raise
        what = "" if isinstance(error, TemplateError) else f"{type(error).__name__}: "
        raise TemplateFault(f"cannot be rendered: {what}{' '.join(str(error).split())[:200]}") from error


def outputs(source: str, conversations: Sequence[Turns], special: dict[str, str]) -> list[str]:
    """Return each conversation as a template renders it, first in a process with limits of time and memory.

    Raises:
        TemplateFault: as `render_chat`; or the process met a limit, or its renderings differ from those made here.
    """
    if len(source) > MOST_SOURCE:
        raise TemplateFault(f"has {len(source):,} characters, at most {MOST_SOURCE:,}")
    limits = {"cpu_seconds": CPU_SECONDS, "memory": MEMORY}
    work = json.dumps({"source": source, "conversations": conversations, "special": special, **limits})
    child = subprocess.run(
        [sys.executable, "-P", __file__],
        input=work.encode("utf-8", "surrogatepass"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PYTHONHASHSEED": "1", "PATH": os.environ.get("PATH", "")},
        check=False,
    )
    try:
        answer = json.loads(child.stdout) if child.returncode == 0 else None
    except ValueError:
        answer = None
    if answer is None:
        raise TemplateFault(f"takes more than {CPU_SECONDS} CPU seconds or {MEMORY // 2**20} MiB of memory")
    if "fault" in answer:
        raise TemplateFault(answer["fault"])
    here = [render_chat(source, turns, special, False) for turns in conversations]
    if here != answer["outputs"]:
        raise TemplateFault("renders the same conversation otherwise each time (an address in memory, say)")
    return here


def _main() -> None:
    """In that process: render the conversations of stdin within the limits, and write the renderings or the fault."""
    work = json.loads(sys.stdin.buffer.read())
    _limit(work["cpu_seconds"], work["memory"])
    try:
        found = [render_chat(work["source"], turns, work["special"], False) for turns in work["conversations"]]
        answer: dict[str, Any] = {"outputs": found}
    except TemplateFault as fault:
        answer = {"fault": str(fault)}
    sys.stdout.write(json.dumps(answer))


def _limit(cpu_seconds: int, memory: int) -> None:
    try:
        import resource
    except ImportError:
        return  # Windows has no such limits; counting is all there
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + cpu_seconds,) * 2)
    # The limit is on address space, part of which is taken before anything is read.
    resource.setrlimit(resource.RLIMIT_AS, (memory + 2**28,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, with the functions that chat templates use, counted, and nothing that depends on the moment."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
        self.begin(MOST_OUTPUT)
        del self.filters["random"], self.globals["lipsum"]
        self.filters["tojson"] = _tojson
        self.globals |= {
            "raise_exception": _raise,
            "strftime_now": _strftime,
            "dict": lambda *given, **named: dict(*given, **named),
            "namespace": _Names,
        }

    def begin(self, most: int) -> None:
        """Reset the counts, for a rendering of at most `most` characters."""
        self.rounds, self.most = 0, most

    def spend(self) -> None:
        """Count one round of a loop, or one call of a macro."""
        self.rounds += 1
        if self.rounds > MOST_ROUNDS:
            raise TemplateFault(f"takes more than {MOST_ROUNDS:,} rounds of its loops")

    def counted(self, parts: Iterable[str]) -> Iterator[str]:
        """Yield the parts of an output, while their characters are at most `most`."""
        length = 0
        for part in parts:
            length += len(part)
            if length > self.most:
                raise TemplateFault(f"writes more than {self.most:,} characters")
            yield part

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Refuse powers, products and sums beyond the bounds."""
        if operator == "**" and not (isinstance(right, int | float) and abs(right) <= 64):
            raise TemplateFault("raises a number to a power that is too large")
        if operator == "*" and not (_is_number(left) and _is_number(right)):
            self._check(_size(left) * _size(right))
        made = super().call_binop(context, operator, left, right)
        if isinstance(made, int) and made.bit_length() > MOST_BITS:
            raise TemplateFault(f"makes a number of more than {MOST_BITS} bits")
        if not _is_number(made):
            self._check(_size(made))
        return made

    def joined(self, *parts: Any) -> str:
        """Return the operands of ``~`` as one text."""
        texts = [str(part) for part in parts]
        self._check(sum(map(len, texts)))
        return "".join(texts)

    def _check(self, size: int) -> None:
        if size > self.most:
            raise TemplateFault(f"makes a text or list of more than {self.most:,} items")

    def _generate(self, source: nodes.Template, *given: Any, **named: Any) -> str:
        found = source.find_all
        bodies: list[nodes.For | nodes.Macro | nodes.CallBlock]
        bodies = [*found(nodes.For), *found(nodes.Macro), *found(nodes.CallBlock)]
        for node in bodies:
            spend = nodes.Call(nodes.EnvironmentAttribute("spend"), [], [], None, None)
            counting = nodes.ExprStmt(spend).set_lineno(node.lineno).set_environment(self)
            node.body.insert(0, counting)
        for concat in list(source.find_all(nodes.Concat)):
            joined = nodes.Call(nodes.EnvironmentAttribute("joined"), concat.nodes, [], None, None)
            joined.set_lineno(concat.lineno).set_environment(self)
            concat.nodes = [joined]
        return str(super()._generate(source, *given, **named))


class _Generation(Extension):
    """The tag that marks the tokens with loss; here only its body is rendered."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Any) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True)).set_lineno(line)


class _Names(Namespace):
    """A namespace whose names cannot be those of Python's own machinery."""

    def __init__(*given: Any, **named: Any) -> None:
        own, *rest = given
        attributes = dict(*rest, **named)
        for name in attributes:
            _check_name(name)
        Namespace.__init__(own, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: Any) -> None:
    if str(name).startswith("_"):
        raise TemplateError(f"names in a namespace do not begin with '_', as {name!r} does")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple) else abs(value) if isinstance(value, int) else 1


def _raise(message: str) -> None:
    raise TemplateError(message)


def _strftime(pattern: str) -> str:
    # %s, %c, %x, %X and %Z follow the machine's time zone or language.
    if any(f"%{letter}" in pattern for letter in "scxXzZ"):
        raise TemplateError(f"strftime_now({pattern!r}) depends on the machine")
    return TODAY.strftime(pattern)


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """Return a value as JSON without escapes for HTML, which Jinja's own filter writes."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@lru_cache(maxsize=8)
def _compiled(source: str) -> Any:
    if len(source) > MOST_SOURCE:
        raise TemplateFault(f"has {len(source):,} characters, at most {MOST_SOURCE:,}")
    return _Sandbox().from_string(source)


if __name__ == "__main__":
    _main()
