"""Rows in one line are read as each alone, by the architectures that can, and the others are found out."""

import logging
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from askback.engines.local import attention  # noqa: E402
from askback.engines.local.lines import can_pack, lay  # noqa: E402
from tests.tiny import ARCHITECTURES, random_model  # noqa: E402

PADDED = {"Gemma2", "Bloom", "Lfm2"}
ROWS = [
    [3 + (7 * row * at + at * at + row) % 400 for at in range(length)] for row, length in enumerate((37, 3, 130, 20))
]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_rows_in_one_line_are_read_as_alone(name: str, caplog: pytest.LogCaptureFixture) -> None:
    model = random_model(name)
    attention.use(model)
    with caplog.at_level(logging.WARNING):
        assert can_pack(model) == (name not in PADDED)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("askback")]
    assert ["rows are padded" in message for message in said] == [True] * (name in PADDED)
    laid = lay(ROWS, name not in PADDED, 0)
    assert laid.ids.numel() == (len(ROWS) * 130 if name in PADDED else sum(map(len, ROWS)))
    with torch.inference_mode():
        found = model(laid.ids, use_cache=False, **laid.rest).logits
        for row, (line, column) in zip(ROWS, laid.places, strict=True):
            expected = model(torch.tensor([row]), use_cache=False).logits[0]
            torch.testing.assert_close(found[line, column : column + len(row)], expected, atol=1e-4, rtol=1e-4)


def test_a_model_that_does_not_keep_rows_apart_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are told apart by an argument that a model has to hand on to its layers."""
    model = random_model("Llama")
    attention.use(model)
    forward = type(model.model).forward

    def forgetful(self: Any, *given: Any, cu_seq_lens_q: Any = None, **others: Any) -> Any:
        return forward(self, *given, **others)

    monkeypatch.setattr(type(model.model), "forward", forgetful)
    assert not can_pack(model)
