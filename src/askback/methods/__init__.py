"""Methods: one page each, a function that says from top to bottom which steps there are and what goes into each.

A `Run` makes a page's steps or returns what is on disk; a `Plan` walks the same page and only looks ahead.
"""

from collections.abc import Callable

from askback.execution.identity import Model
from askback.execution.run import Steps
from askback.execution.shards import Records
from askback.lookup import lookup
from askback.recipe import Recipe
from askback.recipe.names import METHODS

Page = Callable[[Recipe, Steps], Model | Records[object]]
"""A method: its result is a model, or the data set where the recipe asks for no model."""


def page_of(recipe: Recipe) -> Page:
    """Return the page that a recipe names (`recipe.method`)."""
    page: Page = lookup(METHODS, recipe.method, "method")
    return page
