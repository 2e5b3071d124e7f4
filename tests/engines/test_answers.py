"""What was paid for is there after a kill."""

import subprocess
import sys
from pathlib import Path

import pytest

from askback.engines.response_cache import Answers
from askback.engines.worker_context import WorkerContext


def test_answers_are_found_again_and_a_cut_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "asked.jsonl"
    answers = Answers(path)
    assert not path.exists()
    answers.add("a", {"text": "é\nü"})
    answers.add("b", [1.5, None])
    answers.close()
    with path.open("ab") as file:
        file.write(b'\n["c", {"text": "cu')
    again = Answers(path)
    assert "a" in again and again["a"] == {"text": "é\nü"} and again["b"] == [1.5, None]
    assert "c" not in again
    again.add("c", 1)
    again.close()
    assert Answers(path)["c"] == 1


def test_they_go_with_the_piece_and_stay_with_an_error(tmp_path: Path) -> None:
    path, worker = tmp_path / "asked.jsonl", WorkerContext()
    with pytest.raises(KeyError), worker.keeping(path):
        worker.answers.add("a", 1)
        raise KeyError
    assert "a" not in worker.answers
    with worker.keeping(path):
        assert "a" in worker.answers
    assert not path.exists()


def test_a_killed_process_leaves_all_it_has_added(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from askback.engines.response_cache import Answers\n"
        "answers = Answers(Path(sys.argv[1]))\n"
        "for number in range(100): answers.add(str(number), number)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "asked")])
    assert [Answers(tmp_path / "asked")[str(number)] for number in range(100)] == list(range(100))
