"""The script for other people's machines runs, and reports what it says it reports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"
ALONE = (
    "import runpy, sys; sys.modules.update(dict.fromkeys(('pydantic', 'trl', 'pyarrow', 'accelerate')));"
    "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""Runs a script where torch and transformers alone are installed."""


def run(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", ALONE, str(SCRIPT), *arguments], capture_output=True, text=True, check=True
    ).stdout


def test_gpu_prints_a_table_of_the_whole_loop() -> None:
    lines = run("--tiny").splitlines()
    assert "TFLOP/s in bfloat16 products" in lines[0] and "GB/s in a copy" in lines[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    assert [row[1] for row in rows[2:]] == ["augment", "score", "train"]
    assert all(len(row) == 8 for row in rows)


def test_gpu_gives_the_figures_as_json() -> None:
    found = json.loads(run("--tiny", "--json"))
    assert found["card"] and found["peaks"]["matrix_tflops"] > 0 and found["peaks"]["copy_gb_per_s"] > 0
    for figure in found["figures"]:
        assert figure["tokens_per_s"] > 0
        # Peaks and rates are taken one after the other: on a machine that others use, a share may exceed 1.
        assert figure["of_matrix_peak"] > 0 and figure["of_copy_peak"] > 0
        assert figure["tflops"] == pytest.approx(figure["of_matrix_peak"] * found["peaks"]["matrix_tflops"])
