"""What the README and the docs say is there, is there."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import typer.main

from askback.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text("utf-8")


def commands() -> list[str]:
    """Return every askback command line of the README and of the recipes' first lines."""
    found = re.findall(r"^\$ (askback [^#\n]*)", README, re.MULTILINE)
    for recipe in (ROOT / "recipes").glob("*.yaml"):
        found += re.findall(r"\b(askback (?:plan|run|demo)\b[^()#\n]*)", recipe.read_text("utf-8").split("name:")[0])
    return sorted({command.strip() for command in found})


@pytest.mark.parametrize("line", commands())
def test_every_command_shown_is_a_command(line: str) -> None:
    _, command, *arguments = shlex.split(line)
    group = typer.main.get_command(app)
    known = group.commands  # type: ignore[attr-defined]
    assert command in known
    known[command].make_context(command, arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_file_named_exists(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text.strip(), f"{page.name} is empty"
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
    if page.name == "method.md":
        for name in re.findall(r"`([\w/]+\.(?:py|txt)|[\w]+/)`", text):
            path = ROOT / name if name.startswith("src/") else ROOT / "src/askback" / name
            assert path.exists(), f"docs/method.md names {name}"


def test_architecture_names_what_is_there() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", text))
    source = ROOT / "src/askback"
    for name in named:
        places = (source / name, source / "engines" / name, ROOT / name)
        assert any(place.exists() for place in places), f"docs/architecture.md names {name}"
    packages = {f"{path.name}/" for path in source.iterdir() if (path / "__init__.py").exists()}
    assert packages <= named, f"docs/architecture.md leaves out {packages - named}"


def test_the_python_shown_names_what_is_exported() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (line,) = [node for node in ast.parse(code).body if isinstance(node, ast.ImportFrom) and node.module == "askback"]
    import askback

    assert all(hasattr(askback, alias.name) for alias in line.names)


def test_the_recipes_named_are_those_that_come_with_it() -> None:
    named = README.split("Recipes that come with it")[1].split("`--set")[0]
    assert set(re.findall(r"`(\w[\w-]*)`(?= \(|,|\.)", named)) - {"askback"} == {
        path.stem for path in (ROOT / "recipes").glob("*.yaml")
    }


def test_all_is_what_is_exported() -> None:
    import askback

    assert sorted(askback.__all__) == askback.__all__
    assert set(askback.__all__) == set(askback._HOMES)
    assert all(getattr(askback, name) for name in askback.__all__)


def test_no_machine_path_is_in_the_project() -> None:
    for path in [*PAGES, *(ROOT / "src").rglob("*.py"), *(ROOT / "recipes").glob("*.yaml")]:
        assert not re.search(r"(?<![\w.])/(work|root|home|tmp)/\w", path.read_text("utf-8")), path
