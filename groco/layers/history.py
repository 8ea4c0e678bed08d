"""Which layers wrote a symbolic signal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from groco.groups import Group

# Layers of Keras' own that leave the group axis as it is.
_LEAVING = """
    Activation Add AlphaDropout Average BatchNormalization Concatenate Dropout ELU GaussianDropout GaussianNoise
    GroupNormalization Identity LayerNormalization LeakyReLU Maximum Minimum Multiply PReLU ReLU
    Rescaling Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D Subtract UnitNormalization
"""
_OF_KERAS = {getattr(keras.layers, name) for name in _LEAVING.split()}


def writers(tensor: Any) -> Iterator[Any]:
    """The layers of groco that wrote a symbolic tensor, as far as only layers that leave its group axis lie between.

    Those are known by their type. What lies behind operations, and layers of the user's own, nobody can tell.
    """
    tensors, seen = [tensor], set()
    while tensors:
        tensor = tensors.pop()
        history = getattr(tensor, "_keras_history", None)
        if history is None or id(tensor) in seen:
            continue
        seen.add(id(tensor))
        maker = history.operation
        if isinstance(getattr(maker, "output_group", None), Group):
            yield maker
        elif isinstance(maker, keras.Model):
            tensors += (getattr(maker, "outputs", None) or [])[history.tensor_index :][:1]
        elif type(maker) in _OF_KERAS or isinstance(maker, keras.layers.BatchNormalization):
            tensors += maker._inbound_nodes[history.node_index].input_tensors
