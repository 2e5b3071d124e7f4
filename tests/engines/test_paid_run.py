"""A run through a server that often fails, killed and resumed: nothing is lost, doubled, paid twice or given away."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from askback.execution.shards import Records, rejections
from tests.engines.fault_server import FaultServer, request_id
from tests.engines.paid_run import SEGMENTS
from tests.engines.served import Body, rating

KEY = "sk-planted-0123456789"
KILLS = 2


def answered(folder: Path) -> set[str]:
    """Return the texts of all answers that are on disk now, in finished pieces or kept beside begun ones."""
    found = {candidate.instruction for candidate in Records[Any](folder, "")}
    for path in folder.glob("asked-*.jsonl"):
        for line in path.read_bytes().splitlines():
            try:
                found.add(json.loads(line)[1]["text"])
            except ValueError:
                continue
    return found


def test_killed_and_resumed_nothing_is_lost_doubled_or_paid_twice(tmp_path: Path) -> None:
    texts: dict[str, str] = {}

    def answer(path: str, payload: Body) -> tuple[int, Body]:
        status, body = rating(path, payload)
        texts[body["choices"][0]["message"]["content"]] = request_id(path, payload)
        return status, body

    draw = random.Random()
    with FaultServer(answer, share=0.2, seed=5, delay=0.01) as server:
        command = [sys.executable, "-m", "tests.engines.paid_run", str(tmp_path), server.url]
        environment = os.environ | {"PLANTED": KEY, "OMP_NUM_THREADS": "1"}
        seen: list[tuple[set[str], dict[str, int]]] = []
        said = b""
        for _ in range(KILLS):
            with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
                before = sum(server.delivered.values())
                while sum(server.delivered.values()) < before + draw.randint(40, 150) and process.poll() is None:
                    time.sleep(0.01)
                os.kill(process.pid, signal.SIGKILL)
                said += process.communicate()[1]
            time.sleep(0.5)  # its workers die with it, and what they have asked for is still on its way
            paid = {texts[text] for text in answered(tmp_path / "run/ask")}
            seen.append((paid, dict(server.delivered)))
        last = subprocess.run(command, env=environment, capture_output=True)
        assert last.returncode == 0, last.stderr

    folder = tmp_path / "run/ask"
    candidates = list(Records[Any](folder, ""))
    dropped = list(rejections(folder))
    assert [rejection for rejection in dropped if rejection.rule != "no-answer"] == []
    uris = [c.provenance.uri for c in candidates] + [d.uri for d in dropped]
    assert sorted(uris) == sorted(f"f:{n}" for n in range(SEGMENTS))
    assert len(dropped) <= 2
    for paid, delivered in seen:
        assert paid
        assert {id: server.delivered[id] for id in paid} == {id: delivered[id] for id in paid}
    # An answer on its way at the moment of the kill was received by nobody; there are at most so many of these.
    twice = sum(server.delivered[texts[candidate.instruction]] - 1 for candidate in candidates)
    assert twice <= KILLS * 2 * 8
    assert not list(folder.glob("asked-*"))

    assert server.keys == {f"Bearer {KEY}"}
    assert server.met["500"]
    for text in [
        said,
        last.stderr,
        last.stdout,
        *(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()),
    ]:
        assert KEY.encode() not in text
    assert b"PLANTED" in (tmp_path / "run/recipe.yaml").read_bytes()
