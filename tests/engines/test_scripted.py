"""The engine without a model."""

import math
import subprocess
import sys

from askback import prompts
from askback.engines.protocol import Sampling
from askback.engines.scripted import Scripted
from askback.prompts.prompt import ask
from tests.clock import ends_within

TEXT = "Rivers carry gravel down to the plains, where it settles in banks and islands. " * 30
SAMPLING = Sampling(0.7, 0.9, 128)


def test_a_question_is_about_words_of_the_prompt() -> None:
    prompt = prompts.backward(TEXT)
    for completion in Scripted().generate([prompt] * 20, SAMPLING, range(20)):
        words = [word for word in completion.text.lower().strip("?.").split() if len(word) > 3]
        assert sum(word.strip(",?.") in prompt.user.lower() for word in words) >= 2
        assert completion.finished
        assert 10 <= len(completion.text) <= 200


def test_scores_use_the_whole_scale() -> None:
    asked = [prompts.rubric(f"Question {number}?", TEXT) for number in range(400)]
    rows = Scripted().choose(asked, [f" {level}" for level in range(1, 6)])
    best = [max(range(5), key=row.__getitem__) for row in rows]
    assert all(50 <= best.count(level) <= 110 for level in range(5))
    assert math.isclose(sum(map(math.exp, rows[0])), 0.95)


def test_answers_are_the_same_in_every_process() -> None:
    code = (
        "import sys; from askback.engines.scripted import Scripted; from askback.engines.protocol import Sampling;"
        "from askback.prompts.prompt import ask;"
        "print(Scripted().generate([ask('stone bridges over rivers')], Sampling(1, 1, 50), [5])[0].text);"
        "assert 'torch' not in sys.modules"
    )
    printed = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in "12"
    ]
    assert printed[0] == printed[1]


def test_it_is_fast() -> None:
    """So that what a run with it takes is what everything else takes: 50,000 prompts a second on an idle machine."""
    engine = Scripted()
    asked = [ask(f"{number} {TEXT}") for number in range(5000)]
    assert ends_within(4, lambda: engine.generate(asked, SAMPLING, range(len(asked))))
