"""Going through a functional model, node by node."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras


def functional(model: keras.Model) -> Any:
    """The functional model that a functional or sequential model is.

    Raises:
        ValueError: if it is neither, is not built, or is a subclass with a `call` of its own.
    """
    if isinstance(model, keras.Sequential):
        check_call(model)
        if not model.built or model._functional is None:
            raise ValueError(f"{model.name} has no inputs yet: call it, or give it an Input, first.")
        return model._functional
    if not hasattr(model, "_nodes_by_depth"):
        raise ValueError(
            f"{model.name} is a {type(model).__name__}, which is not made of layers that can be seen from outside; "
            "only functional and sequential models are."
        )
    check_call(model)
    return model


def is_graph(layer: Any) -> bool:
    """Whether it is a functional or sequential model."""
    return isinstance(layer, keras.Sequential) or hasattr(layer, "_nodes_by_depth")


def check_call(model: keras.Model) -> None:
    """Raises ValueError if a subclass of a functional or sequential model does something else than call its layers."""
    own: Any = next(kind for kind in type(model).__mro__ if kind.__module__.startswith("keras."))
    if type(model).call is not own.call:
        raise ValueError(
            f"{model.name} is a {type(model).__name__} with a call of its own, of which its layers do not tell; put "
            "what it does into layers."
        )


def nodes(model: keras.Model) -> Iterable[Any]:
    """The calls of layers and operations in a functional model, each after those whose outputs it reads."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if not node.is_input:
                yield node


def arranged(model: Any, inputs: Any) -> list:
    """What a functional model is called on, in the order of its inputs, as the model itself arranges it.

    Raises:
        ValueError: if there are more or fewer, or others by name.
    """
    wanted = model._inputs_struct
    if isinstance(inputs, dict):
        names = list(wanted) if isinstance(wanted, dict) else [tensor.name for tensor in keras.tree.flatten(wanted)]
        if missing := [name for name in names if name not in inputs]:
            raise ValueError(f"{model.name} is called without {', '.join(map(repr, missing))}, got {sorted(inputs)}.")
        inputs = {name: inputs[name] for name in names}
        inputs = inputs if isinstance(wanted, dict) else list(inputs.values())
    flat = keras.tree.flatten(inputs)
    if len(flat) != len(model.inputs):
        raise ValueError(f"{model.name} is called on {len(flat)} tensors, it has {len(model.inputs)} inputs.")
    return flat


def replay(model: keras.Model, inputs: list, call: Callable[..., Any]) -> list:
    """Goes through a functional model with other values in place of its tensors.

    Args:
        model: a functional model.
        inputs: a value for each of its inputs.
        call: `call(node, *args, **kwargs)` gives the values of a node's outputs.

    Returns:
        A value for each of its outputs.
    """
    values = {id(tensor): value for tensor, value in zip(model.inputs, inputs, strict=True)}
    for node in nodes(model):
        args, kwargs = node.arguments.fill_in(values)
        outputs = keras.tree.flatten(call(node, *args, **kwargs))
        values.update({id(tensor): value for tensor, value in zip(node.outputs, outputs, strict=True)})
    return [values[id(tensor)] for tensor in model.outputs]


def _name_apart(inputs: list, outputs: list) -> None:
    """Names that Keras gave to layers and operations of the new model may be those of layers of the original."""
    found = [tensor._keras_history.operation for tensor in inputs]
    reached, tensors = set(map(id, found)), list(outputs)
    while tensors:
        history = tensors.pop()._keras_history
        if id(history.operation) not in reached:
            reached.add(id(history.operation))
            found.append(history.operation)
        node = history.operation._inbound_nodes[history.node_index]
        if id(node) not in reached:
            reached.add(id(node))
            tensors += node.input_tensors
    names: set[str] = set()
    for operation in found:
        name, number = operation.name, 0
        while operation.name in names:
            number += 1
            operation.name = f"{name}_{number}"
        names.add(operation.name)


def _same_input(tensor):
    layer = tensor._keras_history.operation
    return keras.Input(
        batch_shape=tensor.shape,
        dtype=tensor.dtype,
        sparse=tensor.sparse,
        ragged=tensor.ragged,
        name=tensor.name,
        optional=getattr(layer, "optional", False),
    )


def rebuild(model: keras.Model, call: Callable[..., Any], finish: Callable[[Any], Any] = lambda value: value):
    """A model with the inputs, outputs and name of a functional model, and other layers in between; see `replay`."""
    inputs = [_same_input(tensor) for tensor in model.inputs]
    outputs = [finish(value) for value in replay(model, inputs, call)]
    _name_apart(inputs, outputs)
    structures = (model._inputs_struct, inputs), (model._outputs_struct, outputs)
    return keras.Model(*(keras.tree.pack_sequence_as(*structure) for structure in structures), name=model.name)
