"""Length bounds."""

from askback.corpus.filters.lengths import too_long, too_short
from askback.recipe import Corpus


def test_length_bounds_are_inclusive(options: Corpus) -> None:
    assert too_short("x" * 599, options) == "599 characters, at least 600 wanted"
    assert too_short("x" * 600, options) is None
    assert too_long("x" * 3000, options) is None
    assert too_long("x" * 3001, options) == "3001 characters, at most 3000 wanted"
