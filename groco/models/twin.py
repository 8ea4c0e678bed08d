"""The planar twin of a group net: as many parameters, no symmetry."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import keras

from groco.groups import get_group
from groco.models.cost import parameters
from groco.models.registry import get_builder

_WIDTHS = ("width", "widths", "growth", "features")


def planar_twin(name: str | Callable[..., keras.Model], **kwargs) -> keras.Model:
    """The planar net of the architecture with about as many parameters, to compare a group net with.

    It is built on the trivial group, with all widths scaled by one factor: near the square root of the group's order,
    chosen so that the number of trainable parameters is as close as whole widths allow.

    Args:
        name: an architecture, as in `groco.create_model`, or its builder.
        **kwargs: arguments of the group net.

    Returns:
        An uncompiled model.

    Raises:
        ValueError: if the architecture has no group or no width to change.
    """
    if isinstance(name, keras.layers.Layer):
        raise ValueError(f"A name of groco.list_models() or a builder is wanted, got a model, {name.name!r}.")
    builder = name if callable(name) else get_builder(name)
    defaults = {key: p.default for key, p in inspect.signature(builder).parameters.items()}
    arguments: dict[str, Any] = {**defaults, **kwargs}
    if "group" not in defaults or not any(key in defaults for key in _WIDTHS):
        raise ValueError(f"{builder.__name__} has no group and width to change; its arguments: {', '.join(defaults)}.")
    ndim = len(arguments["input_shape"]) - 1
    trivial = get_group("P1", ndim).name
    twin: dict[str, Any] = {"name": f"{arguments['name']}_planar_twin", "group": trivial}
    largest = arguments["group"]
    if isinstance(largest, (tuple, list)):
        largest = largest[0]
    if "widths" in arguments and arguments["widths"] is None:  # the builder's choice for the group
        planar = builder(**{**kwargs, **twin})
        arguments["widths"] = tuple(planar.get_layer(f"stage{n}_block1_1_conv").filters for n in (1, 2, 3))
        largest = trivial
    wanted = parameters(builder(**kwargs))

    def build(factor: float) -> keras.Model:
        widths = {key: _scale(arguments[key], factor) for key in _WIDTHS if arguments.get(key) is not None}
        return builder(**{**kwargs, **twin, **widths})

    factor, best, misses = math.sqrt(get_group(largest, ndim).order), None, math.inf
    for _ in range(5):  # the number of parameters goes with the square of the widths
        model = build(factor)
        found = parameters(model)
        if abs(found - wanted) < misses:
            best, misses = model, abs(found - wanted)
        factor *= math.sqrt(wanted / found)
    assert best is not None
    return best


def _scale(widths, factor: float):
    if isinstance(widths, (tuple, list)):
        return tuple(_scale(width, factor) for width in widths)
    return max(1, round(widths * factor))
