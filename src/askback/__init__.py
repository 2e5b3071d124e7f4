"""Askback: instruction backtranslation. Documents become instruction-tuning data, without a stronger teacher.

    from askback import export, load_recipe, run

    folder = run(load_recipe("recipe.yaml"))
    export(folder, Path("data"))

A script that does this needs ``if __name__ == "__main__":`` around it, as work is done in fresh processes.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from askback.errors import AskbackError
    from askback.execution.budget import Budget
    from askback.execution.run import Run
    from askback.export import export
    from askback.plan.running import run
    from askback.recipe import Recipe, RecipeFile, Resources
    from askback.recipe.file import load_recipe

__version__ = "0.1.0"
__all__ = ["AskbackError", "Budget", "Recipe", "RecipeFile", "Resources", "Run", "export", "load_recipe", "run"]

_HOMES = {
    "AskbackError": "askback.errors",
    "Budget": "askback.execution.budget",
    "Recipe": "askback.recipe",
    "RecipeFile": "askback.recipe",
    "Resources": "askback.recipe",
    "Run": "askback.execution.run",
    "export": "askback.export",
    "load_recipe": "askback.recipe.file",
    "run": "askback.plan.running",
}


def __getattr__(name: str) -> Any:
    # Late, so that `askback --help` answers at once.
    if name not in _HOMES:
        raise AttributeError(f"module 'askback' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
