"""Options with some rules set."""

from collections.abc import Callable
from typing import Any

import pytest

from askback.recipe import Corpus

Given = Callable[..., Corpus]


@pytest.fixture
def given() -> Given:
    def build(**options: Any) -> Corpus:
        return Corpus.model_validate({"sources": [{"format": "installed-docs"}], **options})

    return build
