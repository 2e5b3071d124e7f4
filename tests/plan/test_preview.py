"""A preview through a chat server that tells no log-probabilities, then the run: what was asked for is not asked again."""

import hashlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from askback.cli import app
from askback.errors import RecipeError
from askback.execution.shards import Records, rejections
from askback.plan.preview import preview
from askback.plan.running import run
from askback.plan.servers import SENTENCE
from askback.recipe import RecipeFile
from askback.recipe.file import load_recipe
from tests.engines.fault_server import FaultServer, request_id
from tests.engines.served import Body
from tests.untrained import WORDS, write_recipe

DOCUMENTS = 300


def answer(path: str, payload: Body) -> tuple[int, Body]:
    """Answer a chat as a server without log-probabilities: a question of its own for each text, or a written score."""
    said = payload["messages"][0]["content"]
    digest = hashlib.sha256(said.encode()).hexdigest()
    text = f"Score: {1 + int(digest, 16) % 5}" if "the word Score" in said else f"What is known about {digest[:12]}?"
    usage = {"prompt_tokens": len(said) // 4, "completion_tokens": 7}
    return 200, {"choices": [{"message": {"content": text}, "finish_reason": "stop"}], "usage": usage}


class Noting:
    """`answer`, with the requests about documents by their ids."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    def __call__(self, path: str, payload: Body) -> tuple[int, Body]:
        said = str(payload["messages"])
        if "--- end " in said and SENTENCE[:40] not in said:
            self.ids.add(request_id(path, payload))
        return answer(path, payload)


def written(folder: Path, url: str, **engine: Any) -> RecipeFile:
    draw = random.Random(5)
    rows = []
    for number in range(DOCUMENTS):
        sentences = [f"{' '.join(draw.choices(WORDS, k=9)).capitalize()} {draw.random():.6f}." for _ in range(14)]
        rows.append({"text": " ".join(sentences), "url": f"http://h/{number}"})
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    asked = {"kind": "openai_http", "url": url, "model": "m", "timeout_s": 1.0, "retries": 8, "concurrency": 16}
    source = {"format": "jsonl", "path": str(folder / "rows.jsonl"), "licence": "CC0-1.0"}
    return RecipeFile.model_validate(
        {
            "name": "run",
            "recipe": {
                "method": "prompted",
                "corpus": {"sources": [source], "languages": [], "min_chars": 300},
                "judge": {"minimum_auroc": 0.0},
                "select": {"min_score": 4},
            },
            "resources": {"runs": str(folder / "runs"), "workers": 3, "engine": asked | engine},
        }
    )


def test_none_of_300_is_lost_or_paid_twice_where_a_fifth_of_the_answers_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("askback.engines.http.endpoint.FIRST_PAUSE", 0.01)
    noted = Noting()
    with FaultServer(noted, share=0.2, seed=3) as server:
        prices = {"usd_per_million_prompt_tokens": 1.0, "usd_per_million_output_tokens": 2.0, "batch_discount": 0.5}
        file = written(tmp_path, server.url, **prices)
        found = preview(file, 5)
        assert len(found.pairs) + len(found.dropped) == 5 and len(noted.ids) == 5 + len(found.pairs)
        assert preview(file, 5) == found
        folder = run(file)
        paid = {id: server.delivered[id] for id in noted.ids}

    assert set(paid.values()) == {1}, Counter(paid.values())
    assert server.met["500"] and server.met["cut-json"]
    candidates, judged = (list(Records[Any](folder / name, "")) for name in ("augment", "score-1"))
    lost = [one for one in rejections(folder / "augment") if one.outcome == "failed"]
    assert not lost and len(candidates) == DOCUMENTS == len({one.provenance.uri for one in candidates})
    assert all(one.score is not None for one in judged) and len(judged) == DOCUMENTS
    shown = {one.id: score for one, score in found.pairs}
    probes = list(Records[Any](folder / "probes", ""))
    assert len(probes) == 120, "judgements of true probes are those of their candidates"
    assert shown == {one.candidate_id: one.score for one in judged if one.candidate_id in shown}
    by_role = {bill.role: bill for bill in found.bills}
    assert by_role["augment"].records == DOCUMENTS and by_role["score"].records == DOCUMENTS + len(probes)
    spent = json.loads((folder / "augment/step.json").read_text())
    # Five segments stand for all, and the run did not ask for these again.
    assert by_role["augment"].tokens.prompt == pytest.approx(spent["prompt_tokens"] * 300 / 295, rel=0.3)
    usd = (by_role["augment"].tokens.prompt + 2 * by_role["augment"].tokens.output) / 1e6
    assert by_role["augment"].usd == pytest.approx(usd) == pytest.approx(2 * by_role["augment"].usd_batch)
    styles = Counter(one.style for one in candidates)
    assert len(styles) == 5 and 0.2 < styles["question"] / DOCUMENTS < 0.5


def test_it_is_shown(tmp_path: Path) -> None:
    file = written(tmp_path, "http://127.0.0.1:9/v1")
    tree = file.as_written()
    tree["resources"]["engine"] = {"kind": "scripted"}
    (tmp_path / "recipe.yaml").write_text(json.dumps(tree))
    shown = CliRunner().invoke(app, ["preview", str(tmp_path / "recipe.yaml"), "-n", "2"])
    assert shown.exit_code == 0, shown.output
    pairs = preview(load_recipe(tmp_path / "recipe.yaml"), 2).pairs
    assert len(pairs) == 2
    for pair, score in pairs:
        assert (
            pair.instruction in " ".join(shown.output.split()) and f"score {score:.2f} · {pair.style}" in shown.output
        )
    assert "No prices are given" in shown.output and f"{DOCUMENTS}" in shown.output
    assert not list((tmp_path / "runs/run").glob("augment*")), "nothing but the corpus is made"


def test_a_method_that_trains_what_it_asks_has_none(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="method humpback trains them first"):
        preview(write_recipe(tmp_path, Path("none")), 2)
