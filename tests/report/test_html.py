"""The report in a real browser: it has marks, asks nobody for anything, and runs nothing that a document planted."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from askback.backtranslation import backtranslate
from askback.config import RecipeFile
from askback.errors import InputError
from askback.execution.run import Run
from askback.report.html import write_report

PLANTED = (
    '</script><script>document.title = "owned"</script><img src="https://example.org/x.png" onerror="document.title=1">'
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the scripted engine over documents of which every one tries to be markup."""
    here = tmp_path_factory.mktemp("report")
    seed = here / "seed.jsonl"
    seed.write_text(
        "".join(
            f'{{"instruction": "Say {n} words about rivers.", "output": "Rivers run {n} ways."}}\n' for n in range(20)
        )
    )
    pages = here / "pages"
    pages.mkdir()
    escaped = PLANTED.replace("&", "&amp;").replace("<", "&lt;")
    for n in range(12):
        text = " ".join(f"The {word} of page {n} tells of the {word} that came before it." for word in WORDS)
        (pages / f"{n}.html").write_text(f"<h1>About page {n} {escaped}</h1><p>{text}</p><p>{escaped}</p>")
    file = RecipeFile.model_validate(
        {
            "name": "planted",
            "recipe": {
                "base": str(tiny_model),
                "seed": {"sources": [{"path": str(seed)}], "held_out": 0.2},
                "corpus": {"sources": [{"format": "html", "path": str(pages)}], "preset": "none"},
                "backward": {"steps": 2, "batch_size": 2, "max_tokens": 256},
                "forward": {"steps": 2, "batch_size": 2, "max_tokens": 256},
                "select": {"top_fraction": 0.5},
                "judge": {"check": False},
                "rounds": 2,
            },
            "resources": {"runs": str(here / "runs"), "engine": {"kind": "scripted"}},
        }
    )
    with Run(file) as made:
        backtranslate(file.recipe, made)
    return made.folder


WORDS = [f"{word}{n}" for n in range(4) for word in ("river", "market", "lantern", "engine", "garden")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium on this machine, so the report is not looked at in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()


@pytest.mark.parametrize(("width", "height", "scheme"), [(390, 844, "light"), (1280, 900, "dark")])
def test_in_a_browser(browser: Any, run: Path, tmp_path: Path, width: int, height: int, scheme: str) -> None:
    write_report([run, run], tmp_path / "report.html")
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "report.html").as_uri())

    assert said == [] and asked == [(tmp_path / "report.html").as_uri()]
    assert page.title() == "planted · planted · askback report"
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") == width, "the page scrolls sideways"
    for plot in page.locator("svg").all():
        assert plot.locator(".mark").count() > 0
        assert plot.bounding_box()["height"] > 100
    assert page.locator("svg").count() >= 8

    samples = page.locator("article")
    assert samples.count() == 20
    page.locator("#words").fill("SCRIPT tells")
    page.locator("#kind").select_option("chosen")
    assert samples.count() == 12, "six chosen pairs of each of the two runs"
    assert PLANTED in samples.first.locator(".text").inner_text()
    page.locator("#words").fill("no such word anywhere")
    assert samples.count() == 0

    picture = page.screenshot(path=tmp_path / "report.png", full_page=True)
    assert len(picture) > 20_000
    page.close()


def test_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run folder"):
        write_report([tmp_path], tmp_path / "report.html")
