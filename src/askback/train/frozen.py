"""Training of the upper layers alone: what lies below them is read without a backward pass."""

from typing import Any

from askback.errors import RecipeError


def freeze_below(model: Any, trained: int) -> None:
    """Leave only the upper `trained` layers, and what the model has between them and its head, with gradients.

    Raises:
        RecipeError: the model has fewer layers.
    """
    from torch.nn import ModuleList

    count = model.config.get_text_config().num_hidden_layers
    if trained > count:
        raise RecipeError(f"trained_layers {trained}: the model has {count} layers; give fewer, or leave it out")
    layers = next(part for part in model.modules() if isinstance(part, ModuleList) and len(part) == count)
    model.requires_grad_(False)
    beside = next(part for part in model.modules() if layers in part.children())
    siblings = list(beside.children())
    for part in [*layers[-trained:], *siblings[siblings.index(layers) + 1 :]]:
        part.requires_grad_(True)
