"""mypy finds nothing in the package, the tests and the benchmarks; one worker waits for it while others go on."""

import subprocess
import sys
from pathlib import Path


def test_types_are_right() -> None:
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
