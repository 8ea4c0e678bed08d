"""What a model costs: parameters, and multiply-accumulates of one input."""

from __future__ import annotations

import math
from typing import Any

import keras

from groco.layers.conv_transpose import BaseGroupConvTranspose
from groco.layers.separable_conv import BaseSeparableGroupConv
from groco.models.graph import functional, nodes

_TRANSPOSED = (
    BaseGroupConvTranspose,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)
_KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def parameters(model: keras.Model) -> int:
    """The number of trainable parameters."""
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def macs(model: keras.Model) -> int:
    """The multiply-accumulates of a functional model's convolutions and dense layers for one input.

    A group convolution counts as the ordinary convolution that it is computed with: every element of the output's
    group sees the whole kernel. Points of padding count; biases, norms, pooling and activations do not, nor do the
    zeros between the channels of a depthwise convolution, with which some backends compute it.

    Args:
        model: a functional model, with others inside it or not. A layer counts as often as it is called.

    Raises:
        ValueError: if a size is not known before the model is called, or a model inside it is called on another size
            than it was built for.

    Example:

    >>> import groco
    >>> groco.models.macs(groco.create_model("p4cnn"))
    11673760
    """
    return sum(_node_macs(node.operation, node.input_tensors, node.outputs) for node in nodes(functional(model)))


def _node_macs(operation: Any, inputs: list, outputs: list) -> int:
    if not isinstance(operation, keras.Model):
        return _layer_macs(operation, inputs, outputs)
    built, called = ([tuple(tensor.shape[1:]) for tensor in tensors] for tensors in (operation.inputs, inputs))
    if built != called:
        raise ValueError(
            f"{operation.name} is built for inputs {built} and called on {called}, whose cost its layers do not tell."
        )
    return macs(operation)


def _layer_macs(layer: Any, inputs: list, outputs: list) -> int:
    kernels = {role: getattr(layer, role, None) for role in _KERNELS}
    shapes = {role: tuple(kernel.shape) for role, kernel in kernels.items() if kernel is not None}
    if not shapes:
        return 0
    spatial_rank = len(outputs[0].shape) - (3 if hasattr(layer, "subgroup") else 2)
    orientations = _orientations(layer, inputs[0])
    before, after = (_points(layer, tensors[0], spatial_rank) for tensors in (inputs, outputs))
    if isinstance(layer, BaseSeparableGroupConv) and layer.factorization == "g" and "pointwise_kernel" in shapes:
        # One convolution with the product of both, which has the orientations of the pointwise kernel.
        order = shapes["pointwise_kernel"][layer.rank]
        return math.prod(shapes["depthwise_kernel"]) * order * orientations * after
    total = 0
    for role, shape in shapes.items():
        first = role == "pointwise_kernel" and getattr(layer, "factorization", None) == "gc"
        points = before if first or isinstance(layer, _TRANSPOSED) else after
        total += math.prod(shape) * orientations * points
    return total


def _orientations(layer: keras.layers.Layer, inputs) -> int:
    """How often the kernel is used at each point, turned."""
    if isinstance(layer, BaseGroupConvTranspose) and len(inputs.shape) == layer.rank + 2:
        return layer.group.order  # an image is lifted to the whole group
    return layer.subgroup.order if hasattr(layer, "subgroup") else 1


def _points(layer: keras.layers.Layer, tensor, rank: int) -> int:
    channels_first = getattr(layer, "data_format", None) == "channels_first"
    sizes = tensor.shape[2 : 2 + rank] if channels_first else tensor.shape[1 : 1 + rank]
    if None in sizes:
        raise ValueError(
            f"{layer.name} has an output of unknown size, {tuple(tensor.shape)}; build the model with an input_shape "
            "without None."
        )
    return math.prod(sizes)
