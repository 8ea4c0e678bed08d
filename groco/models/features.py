"""The features inside a model."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Iterable
from typing import Any

import keras

from groco.models.graph import functional, nodes


def features(model: keras.Model, names: str | Iterable[str] | None = None) -> keras.Model:
    """A model that returns the outputs of some layers of another one, with which it shares its weights.

    Args:
        model: a functional or sequential model.
        names: name of a layer, or several; shell patterns such as `"stage*_add"` stand for all that match, in order. By
            default the last layer before the pooling and the head.

    Returns:
        A model with one output for a single name without a pattern, else with a list of them.

    Raises:
        ValueError: if no layer has such a name, the message gives close ones; or if it is called more than once.

    Example:

    >>> import groco
    >>> model = groco.create_model("p4cnn")
    >>> groco.features(model, "relu3").output_shape
    (None, 10, 10, 4, 10)
    """
    known = [layer.name for layer in model.layers]
    if names is None:
        ends = [i for i, name in enumerate(known) if name in ("head", "global_pool", "orientation_pool", "head_relu")]
        if not ends or ends[0] == 0:
            raise ValueError(f"{model.name} has no head before which its features end; give names, of {known}.")
        names = known[ends[0] - 1]
    graph = functional(model)
    outputs_of = _outputs_of(graph)
    if isinstance(names, str) and names in known:
        return keras.Model(graph.input, outputs_of(names), name=f"{model.name}_features")
    chosen: list[str] = []
    for pattern in [names] if isinstance(names, str) else names:
        found = fnmatch.filter(known, pattern)
        if not found:
            close = difflib.get_close_matches(pattern, known, n=3, cutoff=0.4)
            hint = f" Close names: {', '.join(close)}." if close else ""
            raise ValueError(f"{model.name} has no layer {pattern!r}.{hint} Its layers: {', '.join(known)}.")
        chosen += [name for name in found if name not in chosen]
    return keras.Model(graph.input, [outputs_of(name) for name in chosen], name=f"{model.name}_features")


def _outputs_of(graph: Any) -> Callable[[str], Any]:
    """Gives what a layer puts out in this model: it may have been called elsewhere before, and be called here twice."""
    found: dict[str, list] = {tensor._keras_history.operation.name: [[tensor]] for tensor in graph.inputs}
    for node in nodes(graph):
        found.setdefault(node.operation.name, []).append(node.outputs)

    def outputs_of(name: str):
        if len(found[name]) > 1:
            raise ValueError(f"{graph.name} calls the layer {name!r} {len(found[name])} times; it has no one output.")
        (outputs,) = found[name]
        return outputs[0] if len(outputs) == 1 else outputs

    return outputs_of
