"""Batch normalisation folded into the convolution before it."""

from __future__ import annotations

import collections
from typing import Any

import keras
import numpy as np

from groco.models.graph import functional, nodes, rebuild
from groco.surgery.workshop import Workshop, copy_operation

# Layers with a kernel and a bias, and the axis of the kernel that holds the output channels.
_OUTPUT_AXIS = {
    **{getattr(keras.layers, f"Conv{n}D"): -1 for n in (1, 2, 3)},
    **{getattr(keras.layers, f"Conv{n}DTranspose"): -2 for n in (1, 2, 3)},
    keras.layers.DepthwiseConv1D: None,
    keras.layers.DepthwiseConv2D: None,
    keras.layers.Dense: -1,
}


_CROPPING = {getattr(keras.layers, f"Cropping{n}D") for n in (1, 2, 3)}


def fold_batch_norms(model: keras.Model) -> keras.Model:
    """A model in which batch normalisation is part of the kernels before it, with a crop between or not.

    Args:
        model: a functional model of Keras' own layers, not wrapped in others.

    Returns:
        A model with weights of its own.
    """
    model = functional(model)
    pairs = _pairs(model)
    by_layer = {id(layer): norm for layer, norm in pairs}
    norms = {id(norm) for _, norm in pairs}
    shop = Workshop()

    def call(node, *args, **kwargs):
        layer = node.operation
        if id(layer) in norms:
            return args[0]
        if id(layer) in by_layer:
            return shop.call_changed(layer, _folded(layer, by_layer[id(layer)]), *args, use_bias=True)
        if isinstance(layer, keras.layers.Layer):
            return shop.call_copy(layer, *args, **kwargs)
        return copy_operation(layer)(*args, **kwargs)

    return rebuild(model, call)


def _pairs(model) -> list[tuple[keras.layers.Layer, keras.layers.Layer]]:
    """The layers whose only output is read by a batch normalisation alone, cropped or not, with it."""
    calls = list(nodes(model))
    uses = collections.Counter(id(tensor) for node in calls for tensor in node.input_tensors)
    uses.update(id(tensor) for tensor in model.outputs)
    times = collections.Counter(id(node.operation) for node in calls)
    makers = {id(tensor): node for node in calls for tensor in node.outputs}
    pairs = []
    for node in calls:
        norm, read = node.operation, node.input_tensors
        if type(norm) is not keras.layers.BatchNormalization or len(read) != 1 or getattr(norm, "renorm", False):
            continue
        if node.arguments.kwargs.get("training"):  # of the batch, whatever is computed
            continue
        tensor, maker = read[0], makers.get(id(read[0]))
        while maker is not None and type(maker.operation) in _CROPPING and uses[id(tensor)] == 1:
            tensor = maker.input_tensors[0]  # a border that is taken away, as behind transposed convolutions
            maker = makers.get(id(tensor))
        layer: Any = None if maker is None else maker.operation
        if type(layer) not in _OUTPUT_AXIS or uses[id(tensor)] > 1 or times[id(layer)] > 1 or times[id(norm)] > 1:
            continue
        channels_last = getattr(layer, "data_format", "channels_last") == "channels_last"
        axis = len(read[0].shape) - 1 if channels_last else 1
        if not _is_kernel_and_bias(layer) or layer.compute_dtype != norm.compute_dtype:
            continue
        if layer.activation is keras.activations.linear and norm.axis % len(read[0].shape) == axis:
            pairs.append((layer, norm))
    return pairs


def _is_kernel_and_bias(layer) -> bool:
    """Whether a layer has no other weights, as one that is quantised or has adapters."""
    return len(layer.weights) == 1 + layer.use_bias and getattr(layer, "quantization_mode", None) is None


def _folded(layer, norm) -> list[np.ndarray]:
    """Kernel and bias of a layer that does what both do in inference."""
    kernel, *bias = (np.asarray(weight, "float64") for weight in layer.get_weights())
    mean, variance = (
        np.asarray(keras.ops.convert_to_numpy(weight), "float64") for weight in (norm.moving_mean, norm.moving_variance)
    )
    scale = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        scale = scale * keras.ops.convert_to_numpy(norm.gamma)
    offset = (bias[0] if bias else 0.0) - mean
    offset = offset * scale
    if norm.center:
        offset = offset + keras.ops.convert_to_numpy(norm.beta)
    axis = _OUTPUT_AXIS[type(layer)]
    if axis is None:
        return [kernel * scale.reshape(kernel.shape[-2:]), offset]
    return [kernel * (scale if axis == -1 else scale[:, None]), offset]
