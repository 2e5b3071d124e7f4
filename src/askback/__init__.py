"""Askback: instruction backtranslation. Documents become instruction-tuning data, without a stronger teacher.

    from askback import Run, backtranslate, load_recipe

    file = load_recipe("recipe.yaml")
    with Run(file) as run:
        model = backtranslate(file.recipe, run)

A script that does this needs ``if __name__ == "__main__":`` around it, as work is done in spawned processes.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from askback.errors import AskbackError
    from askback.execution.budget import Budget
    from askback.execution.run import Run
    from askback.export import export
    from askback.methods.humpback import backtranslate
    from askback.recipe import Recipe, RecipeFile, Resources
    from askback.recipe.file import load_recipe

__version__ = "0.1.0"
__all__ = [
    "AskbackError",
    "Budget",
    "Recipe",
    "RecipeFile",
    "Resources",
    "Run",
    "backtranslate",
    "export",
    "load_recipe",
]

_HOMES = {
    "AskbackError": "askback.errors",
    "Budget": "askback.execution.budget",
    "Recipe": "askback.recipe",
    "RecipeFile": "askback.recipe",
    "Resources": "askback.recipe",
    "Run": "askback.execution.run",
    "backtranslate": "askback.methods.humpback",
    "export": "askback.export",
    "load_recipe": "askback.recipe.file",
}


def __getattr__(name: str) -> Any:
    # Late, so that `askback --help` answers at once.
    if name not in _HOMES:
        raise AttributeError(f"module 'askback' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
