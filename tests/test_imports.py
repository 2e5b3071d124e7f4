"""`pip install askback` is light: nothing heavy is imported until it is used, and rooms are imported one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src/askback"
HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "ray", "pyarrow", "pydantic", "selectolax")


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_help_imports_nothing_heavy() -> None:
    shown = "import contextlib, io; out = io.StringIO(); from askback.cli import app"
    called = "exec('with contextlib.redirect_stdout(out): app([\"--help\"], standalone_mode=False)')"
    assert not modules_after(f"{shown}; {called}; assert 'Exit codes' in out.getvalue()") & set(HEAVY)


def test_planning_imports_no_torch() -> None:
    found = modules_after("from askback import Recipe, Run, export, load_recipe, run; import askback.plan")
    assert not found & {"torch", "transformers", "trl", "peft", "datasets"}


def test_everything_imports_without_torch() -> None:
    """A finder that refuses the extras stands in for an environment without them."""
    names = sorted(
        ".".join(("askback", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
        for path in SOURCE.rglob("*.py")
        if path.name != "__main__.py"
    )
    code = f"""
import importlib, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {("torch", "transformers", "trl", "peft", "datasets", "accelerate", "gguf")!r}:
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
for name in {names!r}:
    importlib.import_module(name)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


LAYERS = (
    ("records", "errors", "lookup"),
    ("text", "recipe", "owned"),
    ("inputs",),
    ("models",),
    ("prompts",),
    ("engines",),
    ("execution",),
    ("seed", "corpus", "augment", "curate", "rewrite", "train", "evaluate"),
    ("methods",),
    ("studies",),
    ("plan",),
    ("export", "report", "review"),
    ("cli",),
)
"""What stands where (docs/architecture.md): a file knows its own package and the layers above it in this list. Those of the
first layer are single files, and know each other."""
LAYER = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}


def imported(path: Path) -> set[str]:
    """Return the rooms, packages of `askback` or files beside them, that a file imports anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "askback":
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = [f"{'.' * node.level}{node.module}"]
            found |= {name.split(".")[1] for name in names if name.startswith(("askback.", "."))}
        elif isinstance(node, ast.Import):
            found |= {name.name.split(".")[1] for name in node.names if name.name.startswith("askback.")}
    return found


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_imports_layers_above_its_own(path: Path) -> None:
    room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    if room in ("__init__", "__main__"):
        return
    assert room in LAYER, f"{path.name} lies in no layer"
    for other in imported(path) - {room}:
        assert other in LAYER, f"{path.name} imports askback.{other}, which lies in no layer"
        allowed = LAYER[other] < LAYER[room] or LAYER[other] == LAYER[room] == 0
        assert allowed, f"{path.name} imports askback.{other}, which is not above it"
