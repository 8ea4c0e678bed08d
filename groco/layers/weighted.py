"""What the layers with kernels have in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from groco.layers.base import GroupLayer, merge_last_axes, repeat_channels, reshape
from groco.layers.prepared import prepared

# They draw one number after the other, and of a shape only its last two axes and the product of the others matter.
_DRAWS = (
    keras.initializers.RandomNormal,
    keras.initializers.RandomUniform,
    keras.initializers.TruncatedNormal,
    keras.initializers.VarianceScaling,
)
MOST_AXES_OF_A_SOFTMAX = 5  # that TensorFlow has on a CPU
_OPTIONS = {"initializer": keras.initializers, "regularizer": keras.regularizers, "constraint": keras.constraints}


class WeightedGroupLayer(GroupLayer):
    """Base of the layers with kernels, a bias over whole group channels, and an activation.

    Subclasses say in `roles` which kinds of weights have an initialiser, a regulariser and a constraint of their own,
    the attributes `kernel_initializer` and so on.
    """

    roles: tuple[str, ...] = ("kernel", "bias")
    bias: Any = None

    def _set_weight_options(self, activation, use_bias: bool, **options) -> None:
        """Keeps the activation and the options, for instance `kernel_initializer`, as objects of Keras."""
        self._prepared = prepared()
        self.activation = keras.activations.get(activation)
        self.use_bias = bool(use_bias)
        for name, value in options.items():
            setattr(self, name, _OPTIONS[name.rpartition("_")[2]].get(value))

    def _add_kernel(self, shape: tuple[int, ...], name: str = "kernel", role: str = "kernel"):
        options = {option: getattr(self, f"{role}_{option}") for option in _OPTIONS}
        options["initializer"] = _of_few_axes(options["initializer"], shape)
        return self.add_weight(name=name, shape=shape, **options)

    def _add_bias(self, filters: int) -> None:
        self.bias = self._add_kernel((filters,), "bias", "bias") if self.use_bias else None

    def _prepare(self, kernel, make: Callable[[Any], Any], name: str = "expanded"):
        """`make(kernel)`, or what it made of the same kernel before, by a name for each that a layer makes."""
        return make(kernel) if self._prepared is None else self._prepared(kernel, make, name)

    def _spread_bias(self, copies: int, groups: int = 1):
        """The bias as those of the channels of a convolution, (groups, copies, filters / groups) in one axis."""
        if self.bias is None or copies == 1:
            return self.bias
        if groups == 1:
            return repeat_channels(self.bias, copies)
        bias = ops.reshape(self.bias, (groups, 1, self.bias.shape[0] // groups))
        return ops.reshape(ops.tile(bias, (1, copies, 1)), (-1,))

    def _finish(self, outputs):
        """Bias and activation of (..., |group|, channels), in the layer's format."""
        if self.bias is None:
            return self._activate(outputs)
        # Backends add few numbers to each point of many slowly: a convolution with its bias takes up to 1.16 times as
        # long on TensorFlow, an inference of P4CNN 3 times as long on JAX. As rows of all elements and channels, whose
        # reshaping is free, they take as long as those of a plain layer.
        bias = self._spread_bias(outputs.shape[-2])
        return self._activate(reshape(ops.add(merge_last_axes(outputs), bias), ops.shape(outputs)))

    def _activate(self, outputs):
        """The activation of (..., channels), in the layer's format.

        Functions see the channels last, which is the axis of a softmax; a layer sees the format that it was made for.
        """
        if isinstance(self.activation, keras.layers.Layer):
            return self.activation(self._from_channels_last(outputs))
        softmax = self.activation is keras.activations.softmax and len(outputs.shape) > MOST_AXES_OF_A_SOFTMAX
        return self._from_channels_last((softmax_of_many_axes if softmax else self.activation)(outputs))

    def get_config(self) -> dict[str, Any]:
        options = {
            f"{role}_{option}": module.serialize(getattr(self, f"{role}_{option}"))
            for role in self.roles
            for option, module in _OPTIONS.items()
        }
        return {
            **super().get_config(),
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **options,
            "activity_regularizer": keras.regularizers.serialize(self.activity_regularizer),
        }


def softmax_of_many_axes(signal):
    """The softmax over the channels, (..., channels), in operations that take any number of axes."""
    dtype = keras.backend.standardize_dtype(signal.dtype)
    signal = ops.cast(signal, keras.backend.result_type(dtype, "float32"))
    powers = ops.exp(signal - ops.max(signal, axis=-1, keepdims=True))
    return ops.cast(powers / ops.sum(powers, axis=-1, keepdims=True), dtype)


def _of_few_axes(initializer, shape: tuple[int, ...]):
    """The same numbers, drawn with three axes: XLA takes 3 times as long to compile what draws them with five."""
    draw = type(initializer).__call__  # of a subclass it may be another
    known = any(draw is cls.__call__ for cls in _DRAWS) and getattr(initializer, "input_axes", None) is None
    if len(shape) <= 3 or not known:
        return initializer

    def initialize(shape, dtype=None):
        return ops.reshape(initializer((math.prod(shape[:-2]), *shape[-2:]), dtype=dtype), shape)

    return initialize
