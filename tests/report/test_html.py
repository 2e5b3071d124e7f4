"""The report in a real browser: it has marks, asks nobody for anything, and runs nothing that a document planted."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from askback.errors import InputError
from askback.report.html import HERE, write_report
from tests.report.conftest import PLANTED

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
FIGURES = (
    "Loss on held-out seed pairs",
    "Each model against M_0",
    "Win rates",
    "Growth: held-out seed pairs",
    "Growth: win rate against M_0",
    "Comparisons on held-out seed pairs",
    "True pairs against damaged",
    "True pairs against damaged: additive alone",
    "Scores by round: rubric",
    "Scores by round: additive",
    "How scores moved, round 1 to 2",
    "Scores of all pairs tried: combined",
    "Precision and recall: combined",
    "Instruction lengths",
    "Output lengths",
    "What instructions ask with: seed",
    "Time by step",
)
SLOW = 120_000
"""Milliseconds that opening a page, or its picture, may take on a busy machine."""


def opened(browser: Any, path: Path, size: dict[str, int], scheme: str) -> Any:
    """Open a report, and see that it says nothing, asks for nothing but itself, and fits the window."""
    page = browser.new_page(viewport=size, color_scheme=scheme)
    page.set_default_timeout(SLOW)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    assert said == [] and asked == [path.as_uri()]
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") == size["width"], "the page scrolls sideways"
    return page


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "light"), (DESKTOP, "dark")], ids=["phone", "desktop"])
def test_in_a_browser(browser: Any, planted: Path, tmp_path: Path, size: dict[str, int], scheme: str) -> None:
    write_report([planted], tmp_path / "report.html")
    page = opened(browser, tmp_path / "report.html", size, scheme)
    assert page.title() == "planted · askback report"
    for link in page.locator("nav a").all():
        assert page.locator(link.get_attribute("href")).count() == 1, "every link leads somewhere"

    titles = page.locator("figure > h4").all_inner_texts()
    assert set(FIGURES) <= set(titles)
    plots = page.locator("figure > svg")
    assert plots.count() == len(titles)
    for plot in plots.all():
        assert plot.locator(".mark").count() > 0
        assert plot.bounding_box()["height"] > 60
        assert "NaN" not in plot.inner_html() and "inf" not in plot.inner_html().replace("info", "")
    text = page.locator("main").inner_text()
    for said in ("in 100 % of 60 instructions", "Gate decisions", "Jaccard", "records/s", "ROUGE-L"):
        assert said in text, said

    picture = page.screenshot(path=tmp_path / "report.png", full_page=True)
    assert len(picture) > 50_000
    page.close()


def test_samples_are_found(browser: Any, planted: Path, tmp_path: Path) -> None:
    write_report([planted], tmp_path / "report.html")
    page = opened(browser, tmp_path / "report.html", DESKTOP, "light")
    opening = page.locator(".cards .about").all_inner_texts()
    scores = [float(one.split()[1]) for one in opening]
    assert len(opening) == 3 and scores == sorted(scores, reverse=True), "it opens with the best of the chosen pairs"
    samples, count = page.locator("#list article"), page.locator("#count")
    assert samples.count() == 20 and count.inner_text().startswith("20 of ")
    page.locator("#more").click()
    assert samples.count() > 20

    page.locator("#words").fill("SCRIPT tells")
    page.locator("#kind").select_option("chosen")
    assert samples.count() == 3, "a quarter of twelve"
    assert PLANTED in samples.first.locator(".text").inner_text()
    page.locator("#kind").select_option("moved")
    assert samples.count() == 3 and "left in round 2" in samples.first.locator(".about").inner_text()
    page.locator("#words").fill("")
    page.locator("#kind").select_option("rejected")
    page.locator("#why").select_option("select-2: not-chosen")
    assert 0 < samples.count() <= 9
    assert all("select-2: not-chosen" in one for one in page.locator("#list article .about").all_inner_texts())
    page.locator("#words").fill("no such word anywhere")
    assert samples.count() == 0
    assert page.title() == "planted · askback report", "nothing planted ran when it was shown"
    page.close()


def test_two_runs_beside_each_other(browser: Any, planted: Path, other: Path, tmp_path: Path) -> None:
    write_report([planted, other], tmp_path / "report.html")
    page = opened(browser, tmp_path / "report.html", PHONE, "dark")
    assert page.title() == "planted · other · askback report"
    compared = page.locator("#compared")
    rows = {row.locator("th").inner_text(): row for row in compared.locator("tbody tr").all()}
    assert rows["random_seed"].locator("td").all_inner_texts() == ["0", "7"]
    assert rows["chosen, round 2"].locator("td").all_inner_texts() == ["3", "3"]
    losses = compared.locator("figure", has_text="Held-out loss").locator("svg[role=img]")
    assert losses.locator("circle.mark").count() == 4 and losses.locator("path.mark.dot").count() == 4
    assert "evaluation, which is left out" in page.locator("#run-2").inner_text()
    assert "evaluation, which is left out" not in page.locator("#run-1").inner_text()
    page.locator("#run").select_option("other")
    assert all(one.startswith("other · ") for one in page.locator("#list article .about").all_inner_texts())
    page.close()


def test_on_paper(browser: Any, planted: Path, tmp_path: Path) -> None:
    write_report([planted], tmp_path / "report.html")
    page = opened(browser, tmp_path / "report.html", DESKTOP, "dark")
    colour = "getComputedStyle(document.body).getPropertyValue"
    assert page.evaluate(f"{colour}('background-color')") == "rgb(22, 24, 26)"
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(f"{colour}('background-color')") == "rgb(255, 255, 255)"
    assert page.evaluate(f"{colour}('color')") == "rgb(28, 28, 28)"
    assert not page.locator("#filter").is_visible()
    page.close()


def test_a_run_just_begun(planted: Path, tmp_path: Path) -> None:
    (tmp_path / "begun").mkdir()
    shutil.copy(planted / "recipe.yaml", tmp_path / "begun")
    shutil.copytree(planted / "seed", tmp_path / "begun/seed")
    write_report([tmp_path / "begun", tmp_path / "begun"], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert ">Cost<" in page and "begun (2)" in page
    for missing in ("Did it help?", ">Judge<", "Gate decisions"):
        assert missing not in page, "a section without anything in it is left out"


def test_no_run_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a run folder"):
        write_report([tmp_path], tmp_path / "report.html")


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_can_be_read(scheme: int) -> None:
    """WCAG's contrast: 4.5 for text, 3 for marks."""
    css = (HERE / "page.css").read_text()
    palette = dict(re.findall(r"--(\w+): (#\w{3,6});", css.split(":root")[1 + scheme]))
    for back in ("back", "card"):
        for name in ("text", "soft"):
            assert contrast(palette[name], palette[back]) >= 4.5, (name, back)
    for number in range(6):
        assert contrast(palette[f"c{number}"], palette["card"]) >= 3, number


def contrast(one: str, two: str) -> float:
    """Return WCAG 2's contrast of two colours."""
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
