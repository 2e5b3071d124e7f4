"""The page in a real browser, by keys alone: what is on disk afterwards is what was pressed, whatever was killed or loaded
again; and text of documents stays text."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from askback.curate.label_file import NAME, Labels, events, read_labels
from tests.review.conftest import Serve
from tests.review.runs import Served, candidate, write_run

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
SLOW = 60_000
"""Milliseconds that the page may take on a busy machine."""


def opened(browser: Any, url: str, size: dict[str, int] = DESKTOP, scheme: str = "light") -> tuple[Any, list[str]]:
    """Open the page; return it, and what its console says."""
    page = browser.new_page(viewport=size, color_scheme=scheme)
    page.set_default_timeout(SLOW)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda asked: said.append(asked.url) if "127.0.0.1" not in asked.url else None)
    page.goto(url)
    return page, said


def press(page: Any, key: str) -> None:
    """Press a key, and wait for the page that answers it: each has another id for what is done next."""
    before = event_of(page)
    page.keyboard.press(key)
    page.locator(f"#screen:not(:has([name=event][value='{before}']))").wait_for()


def event_of(page: Any) -> str:
    return str(page.locator("[name=event]").first.get_attribute("value"))


def pair_of(page: Any) -> str:
    return str(page.locator("[name=pair]").first.get_attribute("value"))


def label(page: Any, keys: str, given: list[tuple[str, str]]) -> None:
    """Label by keys, and note what was said of which pair; pairs asked for again are noted too."""
    for key in keys:
        given.append((pair_of(page), key))
        press(page, key)


def labels_of(run: Path) -> Labels:
    return read_labels(run / NAME)


def test_sixty_pairs_by_keys_alone(browser: Any, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [candidate(n) for n in range(70)])
    given: list[tuple[str, str]] = []
    with Served(run, pairs=60) as served:
        page, said = opened(browser, served.url)
        assert page.url.endswith(f":{served.port}/"), "the token is gone from the address"
        label(page, "12345yn" * 3, given)
        # Undone and said again; then edited, and labelled as edited.
        press(page, "u")
        assert pair_of(page) == given[-1][0]
        given.pop()
        press(page, "e")
        page.locator("[name=output]").fill("Better words.")
        press(page, "Control+Enter")
        assert "Better words." in page.locator("article").inner_text()
        label(page, "5", given)
        edited = given[-1][0]
        press(page, "c")
        page.locator("[name=given]").fill("no <b>idea</b>")
        press(page, "Control+Enter")
        assert page.locator(".comment").inner_text() == "no <b>idea</b>"
        shown = pair_of(page)
        page.reload()
        assert pair_of(page) == shown, "the same after it is loaded again"
        label(page, "4", given)
        press(page, "d")
        put_off = pair_of(page)
        label(page, "3" * 10, given)
        assert put_off != shown and said == []
        served.kill()
        page.keyboard.press("2")
        page.locator("#trouble:not([hidden])").wait_for()
    with Served(run, pairs=60) as served:
        page, said = opened(browser, served.url)
        while page.locator("article").count():
            label(page, "2", given)
        assert "All 60 are done" in page.locator(".done").inner_text()
        assert page.locator("#progress").inner_text().startswith("60 of 60") and said == []
        page.close()

    found = labels_of(run)
    first = dict(reversed([(pair, key) for pair, key in given]))
    assert len(first) == 60 == len(found.standing) and found.damaged == 0
    assert {pair: event.given for (_, pair), event in found.standing.items()} == first
    again = Counter(event.repeat for of in found.labels.values() for event in of)
    assert again == {False: 60, True: 6} and len(given) == 66, "one in ten is asked for again"
    assert found.edits["ada", edited].edited[-1].content == "Better words."
    (texts,) = (event.pairs[0].messages for event in events(run / NAME) if event.kind == "edit")
    assert texts[-1].content.startswith("Answer **"), "beside its own"
    (texts,) = (
        event.pairs[0].messages
        for event in events(run / NAME)
        if event.kind == "label" and event.pairs[0].pair == edited and event.given == "5" and not event.repeat
    )
    assert texts[-1].content == "Better words.", "a label says what it was given to"


def test_two_people_at_once(browser: Any, serve: Serve, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [candidate(n) for n in range(12)])
    pages = {by: opened(browser, serve(run, by))[0] for by in ("ada", "bob")}
    shown = []
    for keys in ("55", "14", "41", "44"):
        shown.append({pair_of(page) for page in pages.values()})
        for page, key in zip(pages.values(), keys, strict=True):
            press(page, key)
    assert all(len(pairs) == 1 for pairs in shown), "both are asked about the same pairs"
    found = labels_of(run)
    assert found.agreement()["people"] == {"ada": 4, "bob": 4}
    assert sorted(one.keep for one in found.verdicts().values()) == [True, True]
    pages["ada"].reload()
    assert "ada, bob: 4 pairs in common, Cohen's kappa -0.33" in pages["ada"].locator("#panel").inner_text()
    # What both have seen is not asked of a third who wants what nobody has seen.
    third, _ = opened(browser, f"{serve(run, 'eve')}&queue=unseen")
    assert third.locator("#progress").inner_text() == "0 of 8"


PLANTED = '<script>document.title="owned"</script><img src=x onerror="document.title=1"> [a](javascript:alert(1)) ![b](http://x.example/b.png)'


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "light"), (DESKTOP, "dark")], ids=["phone", "desktop"])
def test_text_stays_text(browser: Any, serve: Serve, tmp_path: Path, size: dict[str, int], scheme: str) -> None:
    long = "word " * 200_000
    outputs = [
        PLANTED,
        f"```html\n{PLANTED}\n```",
        "safe \u202egnp.exe",
        f"{long}{PLANTED}",
        f"<pre>{'x' * 5000}",
        "| a | b |\n|:-|-:|\n| 1 | 2 |",
    ]
    run = write_run(tmp_path / "run", [candidate(n, output, f"{PLANTED} {n}?") for n, output in enumerate(outputs)])
    page, said = opened(browser, serve(run), size, scheme)
    seen = []
    for _ in outputs:
        seen.append(page.locator(".message.assistant").inner_text())
        assert page.locator("article :is(a, img, script, input)").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"], "the page scrolls sideways"
        press(page, "ArrowRight") if len(seen) < len(outputs) else None
    press(page, "r")
    assert page.locator("article pre.text").count() == 2 and "raw=1" in page.url
    assert page.title() == "run · review" and said == []
    assert any("safe [U+202E]gnp.exe" in text for text in seen)
    assert sum(PLANTED in text for text in seen) == 3
    assert max(map(len, seen)) > 1_000_000, "all of the long one"
    page.close()


def test_help_and_filters(browser: Any, serve: Serve, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [candidate(n) for n in range(12)])
    page, _ = opened(browser, serve(run))
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("5")
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible() and not (run / NAME).exists()
    page.locator(".filters summary").click()
    page.locator("[name=queue]").select_option("threshold")
    page.locator(".filters button").click()
    page.locator(".filters summary", has_text="Near the threshold").wait_for()
    assert "queue=threshold" in page.url
    press(page, "4")
    assert "queue=threshold" in page.url and page.locator("#progress").inner_text().startswith("1 of 12")
    page.close()
