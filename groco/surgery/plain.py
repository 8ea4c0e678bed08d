"""A trained G-CNN without the group: a model of Keras' own layers that computes the same numbers."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from groco import layers as group_layers
from groco.fourier import IMPLEMENTATIONS
from groco.layers.base import GroupLayer
from groco.models.graph import arranged, functional, rebuild, replay
from groco.models.sizes import SizeCheck
from groco.surgery.counterparts import COUNTERPARTS, batch_normalization, is_elementwise
from groco.surgery.folding import fold_batch_norms
from groco.surgery.signals import Signal, in_order, merge, restore
from groco.surgery.workshop import Workshop, copy_operation


def export_plain(model: keras.Model, fold_batch_norm: bool = False, implementation: str = "dense") -> keras.Model:
    """The plain Keras model that a trained G-CNN is, without a layer of groco.

    Kernels are expanded once, the group axis is merged into the channels, and what a batch normalisation knows of a
    channel is repeated for each element of the group. Inputs, outputs and their shapes are those of the model, and so
    are the numbers, to rounding. It is saved and loaded without groco and computes as fast as any plain net: in `call`,
    a group convolution makes its kernel anew, which this one has made already. It is meant for inference: trained
    further, it forgets its symmetry.

    Args:
        model: a functional or sequential model, with others inside it or not. Layers that are neither groco's nor
            Keras' own are taken as they are; what they need to be loaded again is theirs.
        fold_batch_norm: fold each batch normalisation that directly follows a convolution or dense layer into its
            kernel and bias. In training the folded model has no statistics of its own any more. Those are kept that
            follow a convolution in the Fourier basis, which ends with the way back from it, one that is made of several
            (depthwise ones of many channels) or called several times, or are in a model of Keras' own layers inside.
        implementation: what stands for a group convolution. `"dense"` (the default): one convolution with the expanded
            kernel. `"fourier"`: where there is one (see `GroupConv2D`), a dense layer for each of its blocks and the
            ways into the basis and back, whose matrices are constants of the model; dense where a convolution of Keras
            has to pad, or to refuse, images whose sizes are not known. `"auto"`: what the layer uses itself in large
            batches, on the backend and the machine of the export. Nets of wide layers are smaller and faster in the
            Fourier basis; narrow ones are not, nor, on PyTorch, are small batches faster.

    Returns:
        An uncompiled functional model with weights of its own. Where sizes are not known it takes any: the model's
        own check, which refuses those whose strides would break equivariance, is not part of it.

    Raises:
        ValueError: if the model is subclassed or not built; if a layer has no plain counterpart, as a wrapper around a
            layer of groco or a subclass of one that computes something else, or a mean over steps of which some are
            masked; if what a layer computes depends on sizes that the model does not know, as the padding of some
            strided layers does; if `implementation` is not known.

    Example:

    >>> import groco
    >>> plain = groco.export_plain(groco.from_pretrained("p4cnn.rotmnist"), fold_batch_norm=True)
    >>> plain.save("digits.keras")
    """
    check_implementation(implementation)
    exporter = _Exporter(implementation)
    with warnings.catch_warnings():  # what is lost with a mask is checked
        warnings.filterwarnings("ignore", "Layer .* was passed an input with a mask attached", UserWarning)
        plain = rebuild(functional(model), exporter.call, _tensor)
    return fold_batch_norms(plain) if fold_batch_norm else plain


def check_implementation(implementation: str) -> None:
    """Raises ValueError if it is not one of those that layers have."""
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(f"implementation is one of {', '.join(IMPLEMENTATIONS)}, got {implementation!r}.")


class _Exporter:
    """Calls the counterparts of layers. A value is a tensor as in the original model, or a `Signal`."""

    def __init__(self, implementation: str):
        self.shop = Workshop(implementation)

    def call(self, node, *args, **kwargs) -> Any:
        operation = node.operation
        if not args and "inputs" in kwargs:
            args = (kwargs.pop("inputs"),)
        if isinstance(operation, SizeCheck):  # a plain net takes what its layers take
            return args[0]
        counterpart = _counterpart(operation)
        if counterpart is not None:
            signal = _signal(operation, args[0])
            _check_masks(node, signal)
            return counterpart(self.shop, operation, signal)
        if self._is_merged_norm(operation, args) and not kwargs.get("training"):
            return batch_normalization(self.shop, operation, args[0], **kwargs)
        if isinstance(operation, group_layers.GroupBatchNormalization):
            _check_overridden(operation, group_layers.GroupBatchNormalization)
            return self._plain_norm(operation, _tensor(args[0]), **kwargs)
        if _has_group_layers(operation):
            return self._call_model(operation, args, kwargs)
        if args and any(isinstance(value, Signal) for value in keras.tree.flatten(args[0])):
            merged = self._call_merged(operation, args, kwargs)
            if merged is not None:
                return merged
        args, kwargs = keras.tree.map_structure(_tensor, (args, kwargs))
        if isinstance(operation, keras.layers.Layer):
            if _trains_by_default(operation):
                kwargs["training"] = False  # as in `predict`
            return self.shop.call_copy(operation, *args, **kwargs)
        return copy_operation(operation)(*args, **kwargs)

    def _call_model(self, model, args, kwargs):
        """A model within the model: its layers become layers of the whole."""
        if not isinstance(model, keras.Model) or len(args) != 1:
            raise ValueError(
                f"{type(model).__name__} (name={model.name!r}) cannot be exported: it has layers of groco inside and "
                "is no model whose layers can be seen; build the net without it."
            )
        if kwargs.get("training"):
            raise ValueError(
                f"{model.name} cannot be exported: it is called with training={kwargs['training']}, which its layers "
                "would forget; give it to the layers."
            )
        inner = functional(model)
        values = [
            _as_input(model, value, tensor)
            for value, tensor in zip(arranged(inner, args[0]), inner.inputs, strict=True)
        ]
        outputs = replay(inner, values, self.call)
        return keras.tree.pack_sequence_as(inner._outputs_struct, outputs)

    # -- Keras' own layers on signals ----------------------------------------------------------------------------------

    def _call_merged(self, layer, args, kwargs) -> Signal | None:
        """What a layer of Keras' own computes on merged channels; None where it needs the group axis."""
        inputs = args[0]
        if type(layer) in _MERGING and isinstance(inputs, (list, tuple)):
            return self._merge(layer, inputs)
        if len(args) == 1 and isinstance(inputs, Signal) and _is_pointwise(layer):
            return inputs.with_tensor(self.shop.call_copy(layer, inputs.tensor, **kwargs))
        return None

    def _merge(self, layer, inputs) -> Signal | None:
        first = next(value for value in inputs if isinstance(value, Signal))
        if not all(isinstance(value, Signal) and _alike(value, first) for value in inputs):
            return None
        if isinstance(layer, keras.layers.Concatenate):
            return self._concatenate(layer, inputs) if _is_channel_axis(layer.axis, first) else None
        if any(signal.channels != first.channels or signal.spatial != first.spatial for signal in inputs):
            return None
        tensors = [signal.tensor for signal in inputs]
        if any(not np.array_equal(signal.order, first.order) for signal in inputs):
            tensors = [in_order(signal, first.order) for signal in inputs]
        return first.with_tensor(self.shop.call_copy(layer, tensors))

    def _concatenate(self, layer, inputs) -> Signal:
        """Channel after channel in the original model, tensor after tensor here."""
        channels = sum(signal.channels for signal in inputs)
        orders, before = [], 0
        for signal in inputs:
            element, channel = np.divmod(signal.order, signal.channels)
            orders.append(element * channels + before + channel)
            before += signal.channels
        tensor = self.shop.apply([signal.tensor for signal in inputs], keras.layers.Concatenate, layer, axis=-1)
        return Signal(tensor, channels, np.concatenate(orders), inputs[0].copies, inputs[0].data_format)

    @staticmethod
    def _is_merged_norm(layer, args) -> bool:
        known = (keras.layers.BatchNormalization, group_layers.GroupBatchNormalization)
        merged = type(layer) in known and len(args) == 1 and isinstance(args[0], Signal)
        return merged and _is_channel_axis(layer.axis, args[0]) and not getattr(layer, "renorm", False)

    def _plain_norm(self, layer, tensor, **call):
        """A normalisation of whole channels that are not merged is Keras' own."""
        keys = ("axis", "momentum", "epsilon", "center", "scale", "synchronized")
        config = {key: getattr(layer, key) for key in keys}
        kind, weights = keras.layers.BatchNormalization, layer.get_weights
        return self.shop.apply(tensor, kind, layer, weights=weights, key=b"unmerged", call=call, **config)


_MERGING = (
    keras.layers.Add,
    keras.layers.Average,
    keras.layers.Concatenate,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Multiply,
    keras.layers.Subtract,
)
_POINTWISE = (
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
)


def _is_pointwise(layer) -> bool:
    """Whether a layer treats every number of a signal alike."""
    if type(layer) is keras.layers.Activation:
        return is_elementwise(layer.activation)
    return type(layer) in _POINTWISE and getattr(layer, "noise_shape", None) is None


def _is_channel_axis(axis: int, signal: Signal) -> bool:
    if signal.data_format == "channels_first" and signal.rank > 2:
        return axis == 1 or axis == 1 - signal.rank
    return axis == -1 or axis == signal.rank - 1


def _alike(signal: Signal, other: Signal) -> bool:
    return (signal.copies, signal.rank, signal.data_format) == (other.copies, other.rank, other.data_format)


def _tensor(value):
    return restore(value) if isinstance(value, Signal) else value


def _rank(value) -> int:
    return value.rank if isinstance(value, Signal) else len(value.shape)


def _as_input(model, value, tensor):
    """A value as a model within the model takes it: in the precision of its input."""
    if _rank(value) != len(tensor.shape):
        raise ValueError(
            f"{model.name} cannot be exported: it is called on a tensor of shape {tuple(_tensor(value).shape)}, its "
            f"input is of shape {tuple(tensor.shape)}."
        )
    if isinstance(value, Signal):
        return value if value.tensor.dtype == tensor.dtype else value.with_tensor(ops.cast(value.tensor, tensor.dtype))
    return value if value.dtype == tensor.dtype else ops.cast(value, tensor.dtype)


def _signal(layer: GroupLayer, value) -> Signal:
    """What a layer of groco reads, as a signal on its group or as an image."""
    on_group = layer._is_on_group(_rank(value))
    if isinstance(value, Signal):
        if (value.copies is not None) == on_group and value.data_format == layer.data_format:
            return value
        value = restore(value)
    return merge(value, on_group, layer.data_format)


def _counterpart(operation: Any) -> Callable[..., Any] | None:
    """The function that stands for a layer of groco, None for other operations."""
    kind: Any
    for kind, counterpart in COUNTERPARTS.items():
        if isinstance(operation, kind):
            _check_overridden(operation, kind)
            return counterpart
    if isinstance(operation, GroupLayer):
        raise ValueError(
            f"{type(operation).__name__} (name={operation.name!r}) cannot be exported: it has no plain counterpart."
        )
    return None


_FREE_TO_OVERRIDE = {"build", "compute_output_shape", "compute_output_spec", "from_config", "get_config"}


def _check_overridden(layer: Any, kind: type) -> None:
    """Raises ValueError if a subclass of a layer of groco may compute something else than the layer."""
    for own in type(layer).__mro__:
        if own is kind:
            return
        if own.__module__.startswith("groco."):
            continue
        changed = [name for name in vars(own) if hasattr(kind, name) and not name.startswith("__")]
        if changed := [name for name in changed if name not in _FREE_TO_OVERRIDE and not name.startswith("_tf_")]:
            raise ValueError(
                f"{type(layer).__name__} (name={layer.name!r}) cannot be exported: its own {', '.join(changed)} may "
                f"compute something else than {kind.__name__}, of which it is a subclass."
            )


def _check_masks(node, signal: Signal) -> None:
    """Raises ValueError if a layer that leaves out masked steps sees another mask in the plain model."""
    layer = node.operation
    if not isinstance(layer, group_layers.GlobalGroupAveragePooling1D):
        return
    before, now = (getattr(tensor, "_keras_mask", None) for tensor in (node.input_tensors[0], signal.tensor))
    used = node.arguments.kwargs.get("mask", before)
    if used is not before or (before is None) != (now is None):
        raise ValueError(
            f"{layer.name} cannot be exported: it is a mean over the steps that a mask leaves, and the mask does not "
            "get through the plain layers before it; multiply by the mask and divide by its sum instead."
        )


def _trains_by_default(layer: keras.layers.Layer) -> bool:
    """Whether a layer, or one inside, augments also where nothing says that the model trains, as Keras' Random* do."""
    parameters = [inspect.signature(type(part).call).parameters.get("training") for part in _all_layers(layer)]
    return any(parameter is not None and parameter.default is True for parameter in parameters)


def _has_group_layers(operation: Any) -> bool:
    if not isinstance(operation, keras.layers.Layer):
        return False
    return any(
        isinstance(layer, (GroupLayer, group_layers.GroupBatchNormalization)) for layer in _all_layers(operation)
    )


def _all_layers(layer: keras.layers.Layer) -> list:
    return list(layer._flatten_layers(include_self=True, recursive=True))
