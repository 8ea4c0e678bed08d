"""Where the plain layers are made: each once, however often the layer that it stands for is called."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from groco.fourier import has_fourier
from groco.groups import Group
from groco.models.graph import check_call, is_graph


class Workshop:
    """Makes plain layers, with the names, precision and `trainable` of those that they stand for.

    Args:
        implementation: `"dense"`, `"fourier"` for all group convolutions that have it, or `"auto"`: that which each
            layer uses itself in large batches.
    """

    def __init__(self, implementation: str = "dense"):
        self.implementation = implementation
        self._made: dict[Any, keras.layers.Layer] = {}
        self._sources: list[Any] = []  # what is known by its id must live
        self._names: set[str] = set()

    def is_fourier(
        self, layer, group: Group | None, size, strides, channels: int, filters: int, groups: int = 1
    ) -> bool:
        """Whether a convolution of a layer, from a group or an image, is done in the Fourier basis."""
        if group is None or self.implementation == "dense":
            return False
        if self.implementation == "fourier":
            return has_fourier(group, layer.subgroup, size, groups)
        return layer._is_fourier(group, layer.subgroup, size, strides, channels, filters, groups)

    def apply(
        self,
        inputs,
        kind: Callable[..., keras.layers.Layer],
        source: keras.layers.Layer,
        part: str = "",
        weights: Callable[[], list[np.ndarray]] | None = None,
        key: bytes = b"",
        call: dict[str, Any] | None = None,
        **config,
    ):
        """Calls the layer of a class that stands for a part of `source`.

        Args:
            inputs: what it is called on.
            kind: the class of the layer.
            source: the layer of the original model.
            part: which part of it, "" for the whole; a suffix of the name.
            weights: gives the weights.
            key: what the weights depend on besides the source and the configuration.
            call: arguments of its call besides the inputs.
            **config: arguments of the class.
        """
        made = (id(source), part, kind.__name__, key, repr(sorted(config.items(), key=lambda item: item[0])))
        if made in self._made:
            return self._made[made](inputs, **(call or {}))
        layer = kind(
            **config, name=self._name(f"{source.name}_{part}" if part else source.name), dtype=source.dtype_policy
        )
        outputs = layer(inputs, **(call or {}))
        if weights is not None:
            layer.set_weights(weights())
        layer.trainable = source.trainable
        self._keep(made, layer, source)
        return outputs

    def add_bias(self, inputs, source: keras.layers.Layer, bias: np.ndarray):
        """Adds a constant to each channel: Keras has no layer that has nothing but a bias for a weight."""
        kind = keras.layers.Rescaling
        return self.apply(inputs, kind, source, "bias", key=bias.tobytes(), scale=1.0, offset=bias)

    def call_copy(self, layer: keras.layers.Layer, *args, **kwargs):
        """Calls a copy of a layer of Keras' own, or of the user's, which has its configuration and weights."""
        made = id(layer)
        if made in self._made:
            return self._made[made](*args, **kwargs)
        for part in filter(is_graph, layer._flatten_layers(include_self=True)):
            check_call(part)
        if is_graph(layer):
            copy = keras.models.clone_model(layer, clone_function=_copy, recursive=True)
        else:
            copy = _copy(layer, self._name(layer.name))
        outputs = copy(*args, **kwargs)
        weights = layer.get_weights()
        if [w.shape for w in copy.get_weights()] != [w.shape for w in weights]:
            raise ValueError(
                f"{type(layer).__name__} (name={layer.name!r}) cannot be exported: a layer made from its "
                "configuration has other weights. Some weights are made at the first call: call the model once."
            )
        copy.set_weights(weights)
        for part in copy._flatten_layers():
            if hasattr(part, "finalize_state"):  # what preprocessing layers make of their weights
                part.finalize_state()
        self._keep(made, copy, layer)
        return outputs

    def call_changed(self, layer: keras.layers.Layer, weights: list[np.ndarray], inputs, **changes):
        """Calls a layer that has the configuration of another but for some changes, and other weights."""
        changed = type(layer).from_config({**_config(layer), **changes, "name": self._name(layer.name)})
        outputs = changed(inputs)
        changed.set_weights(weights)
        return outputs

    def _keep(self, made, layer, source) -> None:
        self._made[made] = layer
        self._sources.append(source)

    def _name(self, wanted: str) -> str:
        names = itertools.chain([wanted], (f"{wanted}_{n}" for n in itertools.count(1)))
        name = next(name for name in names if name not in self._names)
        self._names.add(name)
        return name


def _copy(layer: keras.layers.Layer, name: str | None = None) -> keras.layers.Layer:
    """A layer made from the configuration; a Lambda has none that could be read without trust in its bytes."""
    name = layer.name if name is None else name
    if type(layer) is keras.layers.Lambda:
        return keras.layers.Lambda(
            layer.function,
            output_shape=layer._output_shape,
            mask=layer.mask,
            arguments=layer.arguments,
            name=name,
            dtype=layer.dtype_policy,
            trainable=layer.trainable,
        )
    return type(layer).from_config({**_config(layer), "name": name})


def copy_operation(operation: keras.Operation) -> keras.Operation:
    """An operation of Keras', not a layer, made from its configuration.

    Raises:
        ValueError: if it has none, as Keras' own with arrays of NumPy among its arguments.
    """
    try:
        return type(operation).from_config(operation.get_config())
    except NotImplementedError:
        raise ValueError(
            f"the operation {type(operation).__name__} cannot be exported: it has an argument that Keras cannot write "
            "down, such as an array of NumPy; give it numbers or lists."
        ) from None


def _config(layer: keras.layers.Layer) -> dict[str, Any]:
    """The configuration, with the activation as it is: a function that is not registered has no name to be found by.

    One that is a layer is a copy, with weights of its own, which are set with those of the layer.
    """
    try:
        config, activation = layer.get_config(), getattr(layer, "activation", None)
    except NotImplementedError:  # Keras', of layers with arguments and no get_config
        raise ValueError(
            f"{type(layer).__name__} (name={layer.name!r}) cannot be exported: it has no get_config, from which "
            "another layer like it could be made."
        ) from None
    if activation is None or "activation" not in config:
        return config
    if isinstance(activation, keras.layers.Layer):
        source, activation = activation, _copy(activation)
        if source.built:
            activation.build_from_config(source.get_build_config())
    return {**config, "activation": activation}
