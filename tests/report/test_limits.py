"""The method's limits are on the card and in the report, with what follows from the base model."""

import pytest

from askback.studies.limits import LIMITS, limits


@pytest.mark.parametrize(
    ("base", "tuned"),
    [
        ("builtin:smollm2-135m", True),
        ("HuggingFaceTB/SmolLM2-360M-Instruct", True),
        ("google/gemma-3-270m-it", True),
        ("meta-llama/Llama-2-7b-chat", True),
        ("meta-llama/Llama-2-7b-hf", False),
        ("models/my-base", False),
    ],
)
def test_an_instruct_base_is_named_for_what_it_is(base: str, tuned: bool) -> None:
    found = limits(base)
    assert found[: len(LIMITS)] == list(LIMITS)
    assert any("instruction-tuned already" in one for one in found) is tuned
