"""Is it equivariant? Measured on every element of a group, for a layer or a whole model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

import keras
import numpy as np

from groco._precision import exact_float32
from groco.groups import Group, GroupLike, act, get_group
from groco.groups._holohedry import NDIMS
from groco.layers.base import GroupLayer
from groco.layers.global_pooling import BaseGlobalGroupPooling
from groco.layers.history import writers
from groco.layers.pooling import CosetPooling


def equivariance_errors(
    layer: Callable,
    inputs,
    group: GroupLike | None = None,
    *,
    ndim: int | None = None,
    input_group: GroupLike | None = None,
    output_group: GroupLike | None = None,
    input: str = "auto",
    output: str = "auto",
    data_format: str | None = None,
    elements: Iterable[int] | None = None,
) -> dict[str, float]:
    """How far a layer or model is from equivariance, for each element of a group.

    For each element g it compares `layer(g inputs)` with `g layer(inputs)`; an invariant output is one on which g does
    nothing. A layer of ours that writes on a subgroup can be equivariant to that subgroup at most. On GPUs products of
    float32 are computed in full, not in TF32.

    Args:
        layer: a layer, a model or any function of one array.
        inputs: an array of images (batch, *spatial, channels) or of signals on a group
            (batch, *spatial, |group|, channels), of fibres (batch, |group|, channels), or the same with
            channels_first. Random values, without symmetry.
        group: the group that acts; by default the layer's own `subgroup`, but the `group` of a layer that pools all of
            it away: of the trivial subgroup there would be nothing to see.
        ndim: dimension of the grid. By default that of the layer, of a model's layers or of the group; names that
            exist in several dimensions need it.
        input_group: the group on which the inputs are given; by default the layer's own, else `group`.
        output_group: the group on which the outputs are given; by default that of the layer, or of the last layer of
            groco in a model, else `group`.
        input: what the inputs are: `"image"`, `"signal"`, `"fibre"`, or `"auto"`, told from the rank.
        output: what the outputs are: `"image"` (batch, *spatial, channels), `"signal"` (batch, *spatial, |group|,
            channels), `"fibre"` (batch, |group|, channels), `"invariant"`, or `"auto"`, told from the rank: an image,
            a signal, or else invariant, but a fibre if the second to last axis (last, with channels_first) of a
            rank-3 output has the group's length and `output_group` was given, or a layer of groco has written it.
        data_format: by default the layer's own, or that of a model's layers, else that of the Keras config.
        elements: indices of the elements to test; all by default.

    Returns:
        For each element's name the largest difference, divided by the largest absolute value of `layer(inputs)`;
        infinite if shapes differ or values are not finite. Outputs that are all 0 show nothing, of which it warns.

    Raises:
        ValueError: if the dimension or the group cannot be told, or the inputs fit neither an image nor the group,
            or there are several outputs, or nothing to compare, or the layer does not take the shape of turned inputs.
    """
    last = _last_layer(layer)
    pooled = _pools_the_group_away(last)
    ndim, group = _which_group(layer, _own_group(layer, "group") if pooled and group is None else group, ndim)
    data_format = data_format or _own_format(layer) or keras.config.image_data_format()
    on_input = get_group(input_group or _own_group(layer, "input_group") or group, ndim)
    declared_output = output_group or _own_group(last, "output_group")
    on_output = get_group(declared_output or group, ndim)
    inputs = keras.ops.convert_to_numpy(inputs) if keras.ops.is_tensor(inputs) else np.asarray(inputs)
    if inputs.size == 0:
        raise ValueError(f"inputs of shape {inputs.shape} have no values to compare outputs of.")
    elements = list(range(group.order) if elements is None else elements)
    if not elements:
        raise ValueError(f"elements are indices of elements of {group.name}, 0 to {group.order - 1}, got none.")
    kind_in = _input_kind(inputs, input, ndim, on_input, data_format)
    reference = _evaluate(layer, inputs)
    kind_out = _output_kind(
        reference, output, ndim, on_output, data_format, declared_output is not None or kind_in == "fibre"
    )
    if pooled and kind_out == "signal":
        kind_out = "invariant"  # one point with one element, where the axes are kept
    if kind_out in ("signal", "fibre") and not on_output.is_subgroup(group):
        raise ValueError(
            f"Outputs of {getattr(layer, 'name', layer)} are on {on_output.name!r}, on which {group.name!r} does not "
            "act; give that group, or its subgroup, as group."
        )
    scale = float(np.max(np.abs(reference))) or 1.0
    if not np.any(reference):
        warnings.warn(f"All outputs of {getattr(layer, 'name', layer)} are 0, which shows nothing.", stacklevel=2)
    errors = {}
    for element in elements:
        turned = _act(group, element, inputs, kind_in, on_input, data_format)
        expected = _act(group, element, reference, kind_out, on_output, data_format)
        got = _evaluate_turned(layer, np.ascontiguousarray(turned), inputs.shape, group.element_names[element])
        error = np.inf
        if got.shape == expected.shape:
            difference = float(np.max(np.abs(got - expected), initial=0.0)) / scale
            error = difference if np.isfinite(difference) else np.inf
        errors[group.element_names[element]] = error
    return errors


def equivariance_error(layer: Callable, inputs, group: GroupLike | None = None, **kwargs) -> float:
    """The largest of `equivariance_errors` over the elements of the group; takes the same arguments."""
    return max(equivariance_errors(layer, inputs, group, **kwargs).values())


def assert_equivariant(
    layer: Callable, inputs, group: GroupLike | None = None, *, tolerance: float = 1e-5, **kwargs
) -> None:
    """Raises AssertionError unless `equivariance_errors` are all at most `tolerance`; the message names the elements.

    1e-5 is right for a float32 layer, 1e-4 for a whole net.
    """
    errors = equivariance_errors(layer, inputs, group, **kwargs)
    broken = {name: error for name, error in errors.items() if not error <= tolerance}
    if broken:
        listed = ", ".join(f"{name}: {error:.1e}" for name, error in broken.items())
        raise AssertionError(
            f"{getattr(layer, 'name', layer)} is not equivariant: relative error above {tolerance:.0e} "
            f"for {len(broken)} of {len(errors)} elements ({listed})."
        )


def _which_group(layer, group: GroupLike | None, ndim: int | None) -> tuple[int, Group]:
    group = group or _own_group(layer, "subgroup")
    if group is None:
        raise ValueError("Say which group acts: group='P4', for instance.")
    if ndim is None:
        ndim = group.ndim if isinstance(group, Group) else _own_rank(layer)
    if ndim is not None:
        return ndim, get_group(group, ndim)
    found = {}
    for candidate in NDIMS:
        try:
            found[candidate] = get_group(group, candidate)
        except ValueError:
            continue
    if len(found) != 1:
        where = f"in {', '.join(f'{n}-D' for n in found)}" if found else "in no dimension"
        raise ValueError(f"There is a group {group!r} {where}; give ndim, or a Group.")
    return next(iter(found.items()))


def _own_rank(layer) -> int | None:
    """The dimension of the grid of a layer, or of all layers of groco in a model."""
    if not isinstance(layer, keras.Model):
        return getattr(layer, "rank", None)
    ranks = {each.rank for each in layer._flatten_layers() if isinstance(each, GroupLayer)}
    return ranks.pop() if len(ranks) == 1 else None


def _last_layer(layer):
    """The layer itself; of a model that of groco which wrote the output, None where that cannot be told."""
    if not isinstance(layer, keras.Model):
        return layer
    outputs = getattr(layer, "outputs", None) or []
    return next(writers(outputs[0]), None) if len(outputs) == 1 else None


def _pools_the_group_away(layer) -> bool:
    """Whether its outputs are images or invariants, which turn or stay with the whole group."""
    if not isinstance(layer, CosetPooling) or layer.subgroup.order > 1:
        return False
    return isinstance(layer, BaseGlobalGroupPooling) or not layer.keepdims


def _own_format(layer) -> str | None:
    """That of the layer, or of all layers of a model that have one."""
    layers = layer._flatten_layers() if isinstance(layer, keras.Model) else [layer]
    formats = {getattr(each, "data_format", None) for each in layers} - {None}
    return formats.pop() if len(formats) == 1 else None


def _own_group(layer, attribute: str) -> Group | None:
    own = getattr(layer, attribute, None)
    return own if isinstance(own, Group) else None


def _evaluate_turned(layer, turned, shape: tuple[int, ...], element: str) -> np.ndarray:
    try:
        return _evaluate(layer, turned)
    except Exception as error:
        if turned.shape == shape:
            raise
        name = getattr(layer, "name", layer)
        raise ValueError(
            f"{name} takes inputs of shape {shape}, but not of {turned.shape}, which {element} makes of them: {error} "
            "Give inputs of equal sizes, or only the elements that keep the shape."
        ) from error


def _evaluate(layer, inputs) -> np.ndarray:
    with exact_float32():
        outputs = layer(inputs)
        if isinstance(outputs, list | tuple | dict):
            raise ValueError(
                f"{getattr(layer, 'name', layer)} has {len(outputs)} outputs; compare one after the other, as in "
                "lambda x: model(x)[0]."
            )
        outputs = keras.ops.convert_to_numpy(outputs)
    return outputs.astype("float64")


def _input_kind(inputs, input: str, ndim: int, group: Group, data_format: str) -> str:
    ranks = {"image": ndim + 2, "signal": ndim + 3, "fibre": 3}
    if input != "auto" and input not in ranks:
        raise ValueError(f"input is 'image', 'signal', 'fibre' or 'auto', got {input!r}.")
    axis = -2 if data_format == "channels_last" else -1
    fits = [kind for kind, rank in ranks.items() if rank == inputs.ndim]
    if input == "auto" and fits[-1:] == ["fibre"] and inputs.shape[axis] != group.order:
        fits.remove("fibre")
    if not fits or (input != "auto" and input not in fits):
        raise ValueError(
            f"{ndim}-D inputs are images of rank {ndim + 2}, signals on a group of rank {ndim + 3} or fibres of rank 3 "
            f"with {group.order} values along the group axis, got shape {inputs.shape} and input={input!r}."
        )
    return fits[0] if input == "auto" else input  # in 1-D what has rank 3 is an image, unless told


def _output_kind(outputs, output: str, ndim: int, group: Group, data_format: str, declared: bool) -> str:
    if output in ("image", "signal", "fibre", "invariant"):
        return output
    if output != "auto":
        raise ValueError(f"output is 'image', 'signal', 'fibre', 'invariant' or 'auto', got {output!r}.")
    if outputs.ndim == ndim + 3:
        return "signal"
    if outputs.ndim == ndim + 2:
        return "image"
    axis = -2 if data_format == "channels_last" else -1
    return "fibre" if declared and outputs.ndim == 3 and outputs.shape[axis] == group.order else "invariant"


def _act(group: Group, element: int, values, kind: str, on: Group, data_format: str) -> np.ndarray:
    if kind == "invariant":
        return values
    last = data_format == "channels_last"
    group_axis = (-2 if last else -1) if kind in ("signal", "fibre") else None
    if kind == "fibre":
        within = on.positions(group)[element]
        return np.take(values, on.product[on.inverse[within]], axis=group_axis)
    spatial_axes = range(1, group.ndim + 1) if last else range(2, group.ndim + 2)
    return act(group, element, values, list(spatial_axes), group_axis, signal_group=on)
