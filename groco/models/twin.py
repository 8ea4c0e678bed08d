"""The planar twin of a group net: as many parameters, no symmetry."""

from __future__ import annotations

import inspect
import math
from typing import Any

import keras

from groco.groups import get_group
from groco.models.registry import get_builder

_WIDTHS = ("width", "widths", "growth")


def planar_twin(name: str, **kwargs) -> keras.Model:
    """The planar net of the architecture with about as many parameters, to compare a group net with.

    It is built on the trivial group, with all widths scaled by one factor: near the square root of the group's order,
    chosen so that the number of trainable parameters is as close as whole widths allow.

    Args:
        name: an architecture, as in `groco.create_model`.
        **kwargs: arguments of the group net.

    Returns:
        An uncompiled model.

    Raises:
        ValueError: if the architecture has no group or no width to change.
    """
    builder = get_builder(name)
    defaults = {key: p.default for key, p in inspect.signature(builder).parameters.items()}
    arguments: dict[str, Any] = {**defaults, **kwargs}
    scaled = [key for key in _WIDTHS if arguments.get(key) is not None]
    if "group" not in arguments or not scaled:
        raise ValueError(f"{name} has no group and width to change; its arguments: {', '.join(defaults)}.")
    ndim = len(arguments["input_shape"]) - 1
    group = get_group(arguments["group"], ndim)
    wanted = parameters(builder(**kwargs))
    twin = {"group": get_group("P1", ndim).name, "name": f"{arguments['name']}_planar_twin"}

    def build(factor: float) -> keras.Model:
        widths = {key: _scale(arguments[key], factor) for key in scaled}
        return builder(**{**kwargs, **twin, **widths})

    factor, best, misses = math.sqrt(group.order), None, math.inf
    for _ in range(5):  # the number of parameters goes with the square of the widths
        model = build(factor)
        found = parameters(model)
        if abs(found - wanted) < misses:
            best, misses = model, abs(found - wanted)
        factor *= math.sqrt(wanted / found)
    assert best is not None
    return best


def parameters(model: keras.Model) -> int:
    """The number of trainable parameters."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def _scale(widths, factor: float):
    if isinstance(widths, (tuple, list)):
        return tuple(_scale(width, factor) for width in widths)
    return max(1, round(widths * factor))
