"""The page is for who has the token, on this machine, from its own address; it tells nothing before a label."""

import http.client
import json
import re
import socket
from html import unescape
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from askback.curate.label_file import NAME, read_labels
from askback.errors import InputError
from askback.execution.shards import write_records
from askback.records import Candidate
from askback.review.page import shown
from askback.review.queues import QUEUES
from askback.review.server import opened
from tests.review.conftest import Serve
from tests.review.runs import CANDIDATE_MODEL, JUDGE, candidate, score_of, write_run


class Client:
    """Asks as a browser does that has opened the address; `said` holds each answer's headers and text."""

    def __init__(self, url: str, enter: bool = True) -> None:
        self.host = urlsplit(url).netloc
        self.said: list[str] = []
        self.cookie = ""
        if enter:
            status, headers, _ = self.ask(url.partition(self.host)[2])
            assert status == 303 and headers["location"] == "/"
            assert all(word in headers["set-cookie"] for word in ("HttpOnly", "SameSite=strict"))
            self.cookie = headers["set-cookie"].partition(";")[0]

    def ask(
        self, path: str, form: dict[str, str] | None = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, str]:
        asked = {"Host": self.host, **({"Cookie": self.cookie} if self.cookie else {})}
        if form is not None:
            asked["Origin"] = f"http://{self.host}"
        asked |= {name.replace("_", "-"): value for name, value in headers.items()}
        line = http.client.HTTPConnection(self.host, timeout=30)
        line.putrequest("GET" if form is None else "POST", path, skip_host=True, skip_accept_encoding=True)
        body = urlencode(form).encode() if form is not None else b""
        for name, value in (asked | {"Content-Length": str(len(body))}).items():
            line.putheader(name, value)
        line.endheaders(body)
        answer = line.getresponse()
        text = answer.read().decode()
        line.close()
        self.said.append(f"{answer.headers}{text}")
        return answer.status, answer.headers, text

    def form(self, page: str, action: str, given: str) -> dict[str, str]:
        """Return what the page's form of an action would send."""
        (form,) = re.findall(rf'<form method="post".*?name="action" value="{action}".*?</form>', page, re.DOTALL)[-1:]
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
        return hidden | {"given": given}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", [candidate(n) for n in range(24)])


def test_no_token_no_page(run: Path, serve: Serve) -> None:
    url = serve(run)
    stranger = Client(url, enter=False)
    for path in ("/", "/?token=x", "/review.js", "/htmx.min.js", "/nothing", f"/{urlsplit(url).query}"):
        status, _, text = stranger.ask(path)
        assert status == 403 and "Open the address" in text and "number" not in text
    assert stranger.ask("/", {"action": "label"})[0] == 403
    stranger.cookie = Client(url).cookie[:-1] + "é".encode().decode("latin-1")
    assert stranger.ask("/")[0] == 403


def test_other_origins_and_names_are_refused(run: Path, serve: Serve) -> None:
    client = Client(serve(run))
    page = client.ask("/")[2]
    form = client.form(page, "label", "4")
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", f"https://{client.host}"):
        assert client.ask("/", form, Origin=origin)[0] == 403
        assert client.ask("/", Origin=origin)[0] == 403
    for host in ("evil.example", f"evil.example:{client.host.partition(':')[2]}", "127.0.0.1", ""):
        assert client.ask("/", Host=host)[0] in (400, 403)
    assert not (run / NAME).exists()
    assert client.ask("/", form)[0] == 303 and len(read_labels(run / NAME).standing) == 1


def test_no_file_can_be_reached(run: Path, serve: Serve) -> None:
    client = Client(serve(run))
    assert [client.ask(f"/{name}")[0] for name in ("review.css", "review.js", "htmx.min.js")] == [200] * 3
    for path in (
        "/labels.jsonl",
        "/recipe.yaml",
        "/../recipe.yaml",
        "/%2e%2e/recipe.yaml",
        "/page.html",
        "//etc/passwd",
    ):
        assert client.ask(path)[0] == 404, path
    headers = client.ask("/")[1]
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_no_answer_tells_score_choice_or_model_before_the_label(run: Path, serve: Serve) -> None:
    client = Client(serve(run))
    scores = {f"{score_of(n):.2f}" for n in range(24)} | {f"{score_of(n):.4f}" for n in range(24)}
    secrets = (JUDGE, CANDIDATE_MODEL, "not-chosen (", ", chosen", "not chosen", "round 1", *scores)
    for queue in QUEUES:
        for mode in ("one", "two"):
            page = client.ask(f"/?queue={queue}&mode={mode}")[2]
            for writing in ("edit", "comment"):
                if at := re.search(r'name="pair" value="([^"]+)"', page):
                    client.ask(f"/?queue={queue}&mode={mode}&at={at[1]}&open={writing}")
    for name in ("review.js", "review.css"):
        client.ask(f"/{name}")
    told = [secret for secret in secrets for said in client.said if secret in said]
    assert len(client.said) > 30 and told == []
    page = client.ask("/")[2]
    client.ask("/", client.form(page, "label", "4"))
    after = client.ask("/")[2]
    assert JUDGE in after and "round 1" in after and re.search(r"chosen", after)
    # Undone, the pair is on the page again, and what was told is gone.
    client.ask("/", client.form(after, "undo", ""))
    again = client.ask("/")[2]
    assert not [secret for secret in secrets if secret in again]


def test_a_form_that_is_sent_twice_is_written_once(run: Path, serve: Serve) -> None:
    client = Client(serve(run))
    form = client.form(client.ask("/")[2], "label", "5")
    assert [client.ask("/", form)[0] for _ in range(3)] == [303] * 3
    assert len((run / NAME).read_text().splitlines()) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"event": "x"},
        {"given": "6"},
        {"pair": "0" * 16},
        {"pair": "../x"},
        {"action": "delete"},
        {"action": "comparison"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_the_page_would_not_send_writes_nothing(change: dict[str, str], run: Path, serve: Serve) -> None:
    client = Client(serve(run))
    form = client.form(client.ask("/")[2], "label", "5")
    assert client.ask("/", form | change)[0] == 400
    assert client.ask("/", {f"x{n}": "" for n in range(99)})[0] == 400
    assert not (run / NAME).exists()


@pytest.mark.parametrize("made_again", [True, False], ids=["other pairs", "gone"])
def test_pairs_that_were_made_again_take_no_labels(made_again: bool, run: Path, serve: Serve) -> None:
    client = Client(serve(run))
    _, _, page = client.ask("/")
    (file,) = (run / "augment").glob("kept-*.parquet")
    file.unlink()
    if made_again:
        write_records(file, Candidate, [candidate(n, instruction=f"Which is number {n}?") for n in range(8)])
    for form in (client.form(page, "label", "4"), None):
        status, _, text = client.ask("/", form)
        assert status == 409 and "Start askback review again" in text
    assert not (run / NAME).exists()


def test_a_form_too_large_is_refused(run: Path, serve: Serve) -> None:
    client = Client(serve(run))
    assert client.ask("/", {"action": "comment", "given": "x" * 17_000_000})[0] == 413


def test_two_pairs_keep_which_stood_where(run: Path, serve: Serve) -> None:
    client = Client(serve(run))
    sides = set()
    for _ in range(6):
        page = client.ask("/?mode=two")[2]
        form = client.form(page, "comparison", "right")
        assert client.ask("/?mode=two", form)[0] == 303
        left, right = form["pair"].split("-")
        event = json.loads((run / NAME).read_text().splitlines()[-1])
        assert [one["id"] for one in event["pairs"]] == [left, right] and event["given"] == "right"
        texts = [one["messages"][-1]["content"] for one in event["pairs"]]
        numbers = [int(re.findall(r"\d+", text)[0]) for text in texts]
        assert numbers[0] // 2 == numbers[1] // 2, "of one segment"
        sides.add(numbers[0] < numbers[1])
    assert sides == {True, False}
    assert "6 of 12" in client.ask("/?mode=two")[2]


def test_a_queue_of_one_rule_is_half_others(run: Path, serve: Serve) -> None:
    client = Client(serve(run))
    page = client.ask("/?queue=rule&of=not-chosen")[2]
    assert "0 of 24" in page and "Half of these are others" in page
    assert "0 of 8" in client.ask("/?queue=damage&of=swapped")[2]
    assert "0 of 12" in client.ask("/?language=de")[2] and "0 of 8" in client.ask("/?source=a.example")[2]


def test_a_run_without_pairs_and_a_port_that_is_taken(run: Path) -> None:
    with pytest.raises(InputError, match="not a run folder"):
        opened(run / "nothing", "ada", 100)
    taken = socket.create_server(("127.0.0.1", 0))
    with taken, pytest.raises(InputError, match="--port"):
        opened(run, "ada", 100, taken.getsockname()[1])


DEEP = {
    "list": "\n".join("  " * depth + "- item" for depth in range(150)),
    "quotation": "\n".join(">" * depth + " item" for depth in range(150)),
    "emphasis": "*a " * 6000,
    "brackets": "[![" * 6000,
    "table": "|item" * 40 + "\n" + "|-" * 40 + "\n" + "|item" * 40,
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_no_text_is_lost_by_rendering(text: str) -> None:
    html = str(shown(text))
    assert html.count("item") == text.count("item") and html.count("[") == text.count("[")
    assert unescape(re.sub(r"<[^>]+>", "", str(shown(text, "1")))) == text
