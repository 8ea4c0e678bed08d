"""What stands for each layer of groco: one function for each, from signals to signals."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from groco import layers as group_layers
from groco.groups import Group
from groco.kernels import expand_kernel
from groco.layers.blur_pooling import BaseGroupBlurPooling, _binomial
from groco.layers.depthwise_conv import BLOCK
from groco.layers.pooling import BaseGroupMaxPooling, _lacks_3d_pooling
from groco.layers.upsampling import _linear, _nearest
from groco.layers.weighted import MOST_AXES_OF_A_SOFTMAX, softmax_of_many_axes
from groco.surgery import fourier
from groco.surgery.signals import Signal, in_order, merge, natural, split_last_axis, take, to_numpy, unmerged
from groco.surgery.windows import add_border, counts, last_if, of_rank, pad, paddings, per_axis
from groco.surgery.workshop import Workshop

_LAST: dict[str, Any] = {"data_format": "channels_last"}

# Activations that treat every number alike; the others (softmax, glu) see the axis of the channels.
_ELEMENTWISE_NAMES = """
    celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid mish
    relu relu6 selu sigmoid silu softplus soft_shrink softsign sparse_plus sparse_sigmoid squareplus swish tanh
    tanh_shrink threshold
"""
_ELEMENTWISE = {getattr(keras.activations, name, None) for name in _ELEMENTWISE_NAMES.split()} - {None}


def is_elementwise(activation) -> bool:
    return activation in _ELEMENTWISE


class _Output:
    """How a convolution ends: bias and activation, inside it where they can be."""

    def __init__(self, shop: Workshop, layer, order: np.ndarray, channels: int, copies: int):
        self.shop, self.layer, self.order = shop, layer, order
        self.channels, self.copies = channels, copies
        self.inside = is_elementwise(layer.activation)

    def config(self) -> dict[str, Any]:
        activation = keras.activations.serialize(self.layer.activation) if self.inside else None
        return {"use_bias": self.layer.bias is not None, "activation": activation}

    def bias(self, part=slice(None)) -> list[np.ndarray]:
        if self.layer.bias is None:
            return []
        return [to_numpy(self.layer.bias)[self.order[part] % self.channels]]

    def finish(self, tensor) -> Signal:
        signal = Signal(tensor, self.channels, self.order, self.copies, self.layer.data_format)
        return signal if self.inside else _activate(self.shop, self.layer, signal)


def _activate(shop: Workshop, layer, signal: Signal) -> Signal:
    """An activation, beside the axis of the channels where it sees it."""
    if isinstance(layer.activation, keras.layers.Layer) and layer.data_format == "channels_first":
        raise ValueError(
            f"{type(layer).__name__} (name={layer.name!r}) cannot be exported: its activation is a layer, "
            f"{type(layer.activation).__name__}, with channels first; put it behind the convolution."
        )
    if is_elementwise(layer.activation):
        kind = keras.layers.Activation
        return signal.with_tensor(shop.apply(signal.tensor, kind, layer, "activation", activation=layer.activation))
    if isinstance(layer.activation, keras.layers.Layer):
        activated = shop.call_copy(layer.activation, unmerged(signal))
    elif layer.activation is keras.activations.softmax and layer.rank + 3 > MOST_AXES_OF_A_SOFTMAX:
        activated = softmax_of_many_axes(unmerged(signal))
    else:
        inputs = unmerged(signal)
        point = (1,) * (len(inputs.shape) - 2) + tuple(inputs.shape[-2:])
        if (left := tuple(layer.activation(ops.zeros(point)).shape)) != point:
            raise ValueError(
                f"{type(layer).__name__} (name={layer.name!r}) cannot be exported: its activation makes signals {left} "
                f"of {point}; put it behind the layer, as an operation."
            )
        activated = shop.apply(inputs, keras.layers.Activation, layer, "activation", activation=layer.activation)
    return Signal(**{**vars(merge(activated, True, "channels_last")), "data_format": layer.data_format})


# -- convolutions ------------------------------------------------------------------------------------------------------


def conv(shop: Workshop, layer, signal: Signal) -> Signal:
    """A convolution of |group| times the channels, whose kernel is expanded once, or one in the Fourier basis."""
    return _conv(shop, layer, signal, layer.kernel, layer.groups)


def _conv(shop: Workshop, layer, signal: Signal, kernel, groups: int = 1) -> Signal:
    group = None if signal.copies is None else layer.group
    shape = (layer.kernel_size, layer.strides, signal.channels, kernel.shape[-1], groups)
    if shop.is_fourier(layer, group, *shape):
        pairs = paddings(layer, signal.spatial, layer._windows, layer.strides)
        if pairs is not None and not _may_be_too_small(layer, signal.spatial, pairs):
            return _fourier_conv(shop, layer, signal, kernel, pairs)
    return _dense_conv(shop, layer, signal, kernel, groups)


def _may_be_too_small(layer, sizes, pairs) -> bool:
    """Whether there are images that are smaller than a window, which a convolution of Keras refuses."""
    windows = zip(sizes, layer._windows, pairs, strict=True)
    return any(size is None and sum(pair) < window - 1 for size, window, pair in windows)


def _fourier_conv(shop: Workshop, layer, signal: Signal, kernel, pairs) -> Signal:
    tensor, bias = in_order(signal, np.arange(len(signal.order))), _bias(layer)
    if max(layer._windows) > 1:
        return _activated(shop, layer, fourier.split_conv(shop, layer, tensor, kernel, pairs, bias))
    tensor = add_border(shop, layer, tensor, pairs)
    if max(layer.strides) > 1:
        tensor = tensor[(slice(None), *(slice(None, None, stride) for stride in layer.strides))]
    kernel = ops.reshape(kernel, kernel.shape[layer.rank :])
    return _activated(shop, layer, fourier.pointwise_conv(shop, layer, tensor, kernel, layer.group, bias=bias))


def _bias(layer) -> np.ndarray | None:
    return None if layer.bias is None else to_numpy(layer.bias)


def _activated(shop: Workshop, layer, tensor) -> Signal:
    """The activation of a layer in the Fourier basis, after the way back from it."""
    signal = natural(tensor, layer.subgroup.order, layer.data_format)
    return signal if layer.activation is keras.activations.linear else _activate(shop, layer, signal)


def _dense_conv(shop: Workshop, layer, signal: Signal, kernel, groups: int = 1) -> Signal:
    group = None if signal.copies is None else layer.group
    filters = kernel.shape[-1]
    tensor, order_in = signal.tensor, signal.order
    if groups > 1:
        order_in = _by_channel_groups(signal.copies or 1, signal.channels, groups)
        tensor = in_order(signal, order_in)
    order = _by_channel_groups(layer.subgroup.order, filters, groups)
    output = _Output(shop, layer, order, filters, layer.subgroup.order)

    def weights():
        expanded = to_numpy(expand_kernel(kernel, group, layer.subgroup, groups))
        return [expanded if groups > 1 else expanded[..., order_in, :], *output.bias()]

    tensor, padding = pad(shop, layer, tensor, layer._windows, layer.strides)
    return output.finish(
        shop.apply(
            tensor,
            of_rank("Conv", layer.rank),
            layer,
            weights=weights,
            key=order_in.tobytes(),
            filters=len(order),
            kernel_size=layer.kernel_size,
            strides=layer.strides,
            padding=padding,
            dilation_rate=layer.dilation_rate,
            groups=groups,
            **output.config(),
            **_LAST,
        )
    )


def _by_channel_groups(copies: int, channels: int, groups: int) -> np.ndarray:
    """The indices of (copies, channels) in the order (groups, copies, channels / groups)."""
    indices = np.arange(copies * channels).reshape(copies, groups, channels // groups)
    return indices.swapaxes(0, 1).reshape(-1)


def conv_transpose(shop: Workshop, layer, signal: Signal) -> Signal:
    """A transposed convolution without padding, and what the layer cuts off or adds."""
    lifting = signal.copies is None
    copies, filters = layer.group.order, layer.filters
    output = _Output(shop, layer, np.arange(copies * filters), filters, copies)
    crops = layer._crops(layer.group if lifting else layer.subgroup)
    means = [sum(pair) < total for total, pair in zip(layer._total_crops, crops, strict=True)]
    adds_zeros = min(min(pair) for pair in crops) < 0  # which get the bias too
    config = output.config()
    late_bias = config["use_bias"] and adds_zeros
    late_activation = output.inside and (adds_zeros or any(means))
    if late_bias or late_activation:
        config |= {"use_bias": config["use_bias"] and not late_bias, "activation": None}

    def weights():
        kernel = to_numpy(layer._expanded_kernel(lifting))[..., signal.order]
        if max(layer.dilation_rate) > 1:
            kernel = np.flip(kernel, tuple(range(layer.rank))).swapaxes(-1, -2)
        return [kernel, *([] if late_bias else output.bias())]

    tensor = signal.tensor
    common = {
        "weights": weights,
        "key": signal.order.tobytes(),
        "filters": copies * filters,
        "kernel_size": layer.kernel_size,
        "padding": "valid",
        **config,
        **_LAST,
    }
    if max(layer.dilation_rate) == 1:
        kind = of_rank("Conv|Transpose", layer.rank)
        tensor = shop.apply(tensor, kind, layer, strides=layer.strides, output_padding=0, **common)
    else:  # strides are 1, and not every backend dilates transposed convolutions
        tensor = add_border(shop, layer, tensor, [(window - 1, window - 1) for window in layer._windows])
        tensor = shop.apply(tensor, of_rank("Conv", layer.rank), layer, dilation_rate=layer.dilation_rate, **common)
    tensor = _crop(shop, layer, tensor, [(max(before, 0), max(after, 0)) for before, after in crops], "crop")
    tensor = add_border(shop, layer, tensor, [(max(-b, 0), max(-a, 0)) for b, a in crops], part="border")
    for axis in np.flatnonzero(means):  # one point is too many, and may go at either end: the mean of both
        ends = []
        for end, name in (((0, 1), "head"), ((1, 0), "tail")):
            pairs = [(0, 0)] * layer.rank
            pairs[axis] = end
            ends.append(_crop(shop, layer, tensor, pairs, f"{name}{axis}"))
        tensor = shop.apply(ends, keras.layers.Average, layer, f"mean{axis}")
    if late_bias:
        (bias,) = output.bias()
        tensor = shop.add_bias(tensor, layer, bias)
    if late_activation:
        tensor = shop.apply(tensor, keras.layers.Activation, layer, "activation", activation=layer.activation)
    return output.finish(tensor)


def _crop(shop: Workshop, layer, tensor, pairs, part: str):
    if all(pair == (0, 0) for pair in pairs):
        return tensor
    kind = of_rank("Cropping", layer.rank)
    return shop.apply(tensor, kind, layer, part, cropping=per_axis(pairs), **last_if(layer.rank))


def depthwise_conv(shop: Workshop, layer, signal: Signal) -> Signal:
    order = _depthwise_order(layer, signal.channels)
    output = _Output(shop, layer, order, signal.channels * layer.depth_multiplier, layer.subgroup.order)
    return output.finish(_depthwise(shop, layer, signal, layer.kernel, "", output))


def separable_conv(shop: Workshop, layer, signal: Signal) -> Signal:
    copies, filters = layer.subgroup.order, layer.filters
    output = _Output(shop, layer, np.arange(copies * filters), filters, copies)
    if layer.factorization == "depthwise":
        channels = signal.channels * layer.depth_multiplier
        tensor = _depthwise(shop, layer, signal, layer.depthwise_kernel, "depthwise", None)
        order = _depthwise_order(layer, signal.channels)
        maps = Signal(tensor, channels, order, copies, layer.data_format)
        if _is_fourier_pointwise(shop, layer, maps, layer.subgroup):
            return _activated(shop, layer, _fourier_pointwise(shop, layer, maps, layer.subgroup, _bias(layer)))
        return output.finish(_pointwise(shop, layer, maps, layer.subgroup, output))
    group = None if signal.copies is None else layer.group
    if layer.factorization == "gc":
        if group is not None and _is_fourier_pointwise(shop, layer, signal, group):
            mixed = _fourier_pointwise(shop, layer, signal, group)
        else:
            mixed = _pointwise(shop, layer, signal, group)
        maps = natural(mixed, None, layer.data_format)
        kernel = expand_kernel(layer.depthwise_kernel, None, layer.subgroup)
        kernel = to_numpy(kernel).reshape(*layer.kernel_size, 1, copies * filters, 1)
        return output.finish(_channelwise(shop, layer, maps, lambda: kernel, (copies * filters, 1), "spatial", output))
    kernel = ops.convert_to_tensor(layer.depthwise_kernel)
    if group is not None:
        kernel = ops.expand_dims(kernel, layer.rank) * layer.pointwise_kernel
    return _conv(shop, layer, signal, kernel)


def _is_fourier_pointwise(shop: Workshop, layer, signal: Signal, group: Group) -> bool:
    point = (1,) * layer.rank
    return shop.is_fourier(layer, group, point, point, signal.channels, layer.filters)


def _fourier_pointwise(shop: Workshop, layer, signal: Signal, group: Group, bias=None):
    tensor = in_order(signal, np.arange(len(signal.order)))
    kernel = ops.reshape(layer.pointwise_kernel, layer.pointwise_kernel.shape[layer.rank :])
    return fourier.pointwise_conv(shop, layer, tensor, kernel, group, "pointwise", bias)


def _pointwise(shop: Workshop, layer, signal: Signal, group: Group | None, output: _Output | None = None):
    def weights():
        kernel = to_numpy(expand_kernel(layer.pointwise_kernel, group, layer.subgroup))
        return [kernel[..., signal.order, :], *(output.bias() if output else [])]

    return shop.apply(
        signal.tensor,
        of_rank("Conv", layer.rank),
        layer,
        "pointwise",
        weights=weights,
        key=signal.order.tobytes(),
        filters=layer.subgroup.order * layer.filters,
        kernel_size=1,
        **(output.config() if output else {"use_bias": False}),
        **_LAST,
    )


def _depthwise_order(layer, channels: int) -> np.ndarray:
    """(channels, |subgroup|, depth_multiplier), in which a depthwise convolution leaves its maps."""
    copies, multiplier = layer.subgroup.order, layer.depth_multiplier
    indices = np.arange(copies * channels * multiplier).reshape(copies, channels, multiplier)
    return indices.swapaxes(0, 1).reshape(-1)


def _depthwise(shop: Workshop, layer, signal: Signal, kernel, part: str, output: _Output | None):
    """(batch, *new_spatial, channels |subgroup| depth_multiplier)."""
    channels, maps = signal.channels, layer.subgroup.order * layer.depth_multiplier
    order = signal.copies or 1

    def expanded():
        rows = ops.reshape(kernel, (*kernel.shape[:-2], 1, channels * layer.depth_multiplier))
        group = None if signal.copies is None else layer.group
        rows = to_numpy(expand_kernel(rows, group, layer.subgroup, groups=channels))
        return rows.reshape(*layer.kernel_size, order, channels, maps)

    return _channelwise(shop, layer, signal, expanded, (channels, maps), part, output)


def _channelwise(shop: Workshop, layer, signal: Signal, kernel, shape: tuple[int, int], part: str, output):
    """Convolves each channel by itself, over its `copies` maps, with `kernel()`: (*size, copies, channels, maps).

    Where Keras has no such layer, dense convolutions of some channels each stand for it, with zeros in their kernels.
    """
    channels, maps = shape
    copies = signal.copies or 1
    tensor, padding = pad(shop, layer, signal.tensor, layer._windows, layer.strides)
    common = {
        "kernel_size": layer.kernel_size,
        "strides": layer.strides,
        "padding": padding,
        "dilation_rate": layer.dilation_rate,
        **(output.config() if output else {"use_bias": False}),
        **_LAST,
    }
    if copies == 1 and layer.rank < 3 and len(set(layer.strides)) == 1:
        tensor = take(tensor, np.argsort(signal.order))
        return shop.apply(
            tensor,
            of_rank("DepthwiseConv", layer.rank),
            layer,
            part,
            weights=lambda: [kernel()[..., 0, :, :], *(output.bias() if output else [])],
            depth_multiplier=maps,
            **common,
        )
    signal = signal.with_tensor(tensor)
    width = max(1, BLOCK // max(copies, maps))
    blocks = []
    for start in range(0, channels, width):
        chosen = np.arange(start, min(start + width, channels))
        sources = (np.arange(copies)[:, None] * channels + chosen).reshape(-1)

        def weights(chosen=chosen):
            own = kernel()[..., chosen, :]
            dense = own[..., None, :] * np.eye(len(chosen), dtype=own.dtype)[..., None]
            dense = dense.reshape(*layer.kernel_size, copies * len(chosen), len(chosen) * maps)
            return [dense, *(output.bias(slice(chosen[0] * maps, (chosen[-1] + 1) * maps)) if output else [])]

        blocks.append(
            shop.apply(
                in_order(signal, sources),
                of_rank("Conv", layer.rank),
                layer,
                part if len(chosen) == channels else f"{part}{start // width}".strip("_"),
                weights=weights,
                filters=len(chosen) * maps,
                **common,
            )
        )
    if len(blocks) == 1:
        return blocks[0]
    return shop.apply(blocks, keras.layers.Concatenate, layer, f"{part}_blocks".strip("_"), axis=-1)


def dense(shop: Workshop, layer, signal: Signal) -> Signal:
    point = (1,) * layer.rank
    if shop.is_fourier(layer, layer.group, point, point, signal.channels, layer.units):
        tensor = in_order(signal, np.arange(len(signal.order)))
        tensor = fourier.pointwise_conv(shop, layer, tensor, layer.kernel, layer.group, bias=_bias(layer))
        return _activated(shop, layer, tensor)
    copies, units = layer.subgroup.order, layer.units
    output = _Output(shop, layer, np.arange(copies * units), units, copies)

    def weights():
        kernel = ops.reshape(layer.kernel, (*(1,) * layer.rank, *layer.kernel.shape))
        kernel = to_numpy(expand_kernel(kernel, layer.group, layer.subgroup))
        return [kernel.reshape(len(signal.order), copies * units)[signal.order], *output.bias()]

    return output.finish(
        shop.apply(
            signal.tensor,
            keras.layers.Dense,
            layer,
            weights=weights,
            key=signal.order.tobytes(),
            units=copies * units,
            **output.config(),
        )
    )


# -- normalisation -----------------------------------------------------------------------------------------------------


def batch_normalization(shop: Workshop, layer, signal: Signal, **call) -> Signal:
    """Scale, offset and statistics repeated for each element of the group."""
    channel = signal.order % signal.channels
    keys = ("momentum", "epsilon", "center", "scale", "synchronized")
    return signal.with_tensor(
        shop.apply(
            signal.tensor,
            keras.layers.BatchNormalization,
            layer,
            weights=lambda: [w[channel] for w in layer.get_weights()],
            key=channel.tobytes(),
            call=call,
            axis=-1,
            **{key: getattr(layer, key) for key in keys},
        )
    )


# -- pooling -----------------------------------------------------------------------------------------------------------


def pooling(shop: Workshop, layer, signal: Signal):
    if max(layer.pool_size) > 1 or max(layer.strides) > 1:
        _check_pooling(layer)
        signal = signal.with_tensor(_pool_windows(shop, layer, signal.tensor))
    return _pool_cosets(shop, layer, signal, layer.keepdims)


def _check_pooling(layer) -> None:
    if _lacks_3d_pooling(keras.KerasTensor((None,) * (layer.rank + 2), layer.compute_dtype)):
        raise ValueError(
            f"{type(layer).__name__} (name={layer.name!r}) cannot be exported: {keras.backend.backend()} has no 3-D "
            f"pooling of {layer.compute_dtype}; use float32."
        )


def _pool_windows(shop: Workshop, layer, tensor):
    size, strides = layer.pool_size, layer.strides
    common = {"strides": strides, **_LAST}
    if isinstance(layer, BaseGroupMaxPooling):
        tensor, padding = pad(shop, layer, tensor, size, strides, value=float("-inf"))
        return shop.apply(tensor, of_rank("MaxPooling", layer.rank), layer, pool_size=size, padding=padding, **common)
    blurred = isinstance(layer, BaseGroupBlurPooling)
    average = _blur if blurred else _average
    sizes = tuple(tensor.shape[1:-1])
    pairs = paddings(layer, sizes, size, strides)
    if pairs is None:
        raise ValueError(
            f"{type(layer).__name__} (name={layer.name!r}) cannot be exported: its padding depends on sizes that are "
            "not known; export a model built for known sizes."
        )
    means = average(shop, layer, add_border(shop, layer, tensor, pairs), "")
    if all(pair == (0, 0) for pair in pairs):
        return means
    if any(n is None for n in sizes):
        inside = add_border(shop, layer, ops.ones_like(tensor), pairs)
        return ops.divide(means, average(shop, layer, inside, ""))
    scale = np.ones((1,) * (layer.rank + 1), "float32")
    for axis, (n, window, stride, pair) in enumerate(zip(sizes, size, strides, pairs, strict=True)):
        weights = _binomial(window) if blurred else np.full(window, 1 / window)
        inside = counts(n, window, stride, pair, weights)
        scale = scale / inside.reshape(-1, *(1,) * (layer.rank - axis))
    scale = scale.astype("float64" if layer.compute_dtype == "float64" else "float32")[None]
    kind, key = keras.layers.Rescaling, scale.tobytes() + repr(scale.shape).encode()
    return shop.apply(means, kind, layer, "inside", key=key, scale=scale)


def _average(shop: Workshop, layer, tensor, part: str):
    kind = of_rank("AveragePooling", layer.rank)
    return shop.apply(tensor, kind, layer, part, pool_size=layer.pool_size, strides=layer.strides, **_LAST)


def _blur(shop: Workshop, layer, tensor, part: str):
    """The binomial filter of n points is the mean of two neighbours, n - 1 times; the last time with the stride."""
    steps = max(1, *(size - 1 for size in layer.pool_size))
    for step in range(steps):
        window = tuple(2 if step < size - 1 else 1 for size in layer.pool_size)
        strides = layer.strides if step == steps - 1 else (1,) * layer.rank
        kind = of_rank("AveragePooling", layer.rank)
        tensor = shop.apply(
            tensor, kind, layer, f"{part}{step}" if steps > 1 else part, pool_size=window, strides=strides, **_LAST
        )
    return tensor


def global_pooling(shop: Workshop, layer, signal: Signal):
    kind = "GlobalMaxPooling" if layer._reduce is ops.max else "GlobalAveragePooling"
    pooled = shop.apply(signal.tensor, of_rank(kind, layer.rank), layer, keepdims=layer.keepdims, **_LAST)
    return _pool_cosets(shop, layer, signal.with_tensor(pooled), layer.keepdims or layer.subgroup.order > 1)


def _pool_cosets(shop: Workshop, layer, signal: Signal, keepdims: bool):
    """Onto the subgroup; without its axis an image."""
    copies = layer.subgroup.order
    if layer.subgroup is not layer.group:
        regions = layer.group.pooling_regions(layer.subgroup).T  # (index, |subgroup|)
        order = (regions[..., None] * signal.channels + np.arange(signal.channels)).reshape(-1)
        parts = split_last_axis(in_order(signal, order), len(regions))
        average = layer._reduce is not ops.max
        if len(parts.shape) == 3:
            kind = keras.layers.GlobalAveragePooling1D if average else keras.layers.GlobalMaxPooling1D
            tensor = shop.apply(parts, kind, layer, "group", **_LAST)
        else:
            tensor = (ops.mean if average else ops.max)(parts, axis=-2)
        signal = natural(tensor, copies, layer.data_format)
    if keepdims:
        return signal
    return natural(in_order(signal, np.arange(len(signal.order))), None, layer.data_format)


# -- sizes -------------------------------------------------------------------------------------------------------------


def upsampling(shop: Workshop, layer, signal: Signal) -> Signal:
    sizes = signal.spatial
    if layer.interpolation == "nearest" and layer.target_size is None:
        kind = of_rank("UpSampling", layer.rank)
        size = per_axis(layer.size)
        return signal.with_tensor(shop.apply(signal.tensor, kind, layer, size=size, **last_if(layer.rank)))
    tensor = signal.tensor
    for axis, size in enumerate(sizes):
        if size is None:
            tensor = _interpolate_unknown(shop, layer, tensor, axis)
            continue
        target = layer._target(axis, size)
        if target == size:
            continue
        if layer.interpolation == "nearest":
            tensor = take(tensor, _nearest(size, target), axis + 1)
            continue
        ends = []
        for part, (points, weights) in zip(("below", "above"), _linear(size, target), strict=True):
            scale = np.asarray(weights).reshape(1, -1, *(1,) * (len(sizes) - axis))
            scale = scale.reshape((1,) * axis + scale.shape)
            ends.append(
                shop.apply(
                    take(tensor, points, axis + 1),
                    keras.layers.Rescaling,
                    layer,
                    f"{part}{axis}",
                    key=scale.tobytes(),
                    scale=scale,
                )
            )
        tensor = shop.apply(ends, keras.layers.Add, layer, f"sum{axis}")
    return signal.with_tensor(tensor)


def _interpolate_unknown(shop: Workshop, layer, tensor, axis: int):
    """Linear interpolation to a multiple of the size: repeated points, whose ends are kept, and their moving mean."""
    if layer.target_size is not None:
        raise ValueError(
            f"{type(layer).__name__} (name={layer.name!r}) cannot be exported: what it takes from its input for "
            f"target_size={layer.target_size} depends on the input's size, which is not known; export a model built "
            "for known sizes."
        )
    factor = layer.size[axis]
    if factor == 1:
        return tensor
    _check_pooling(layer)
    one = (1,) * layer.rank

    def along(n: int) -> tuple[int, ...]:
        return (*one[:axis], n, *one[axis + 1 :])

    kind = of_rank("UpSampling", layer.rank)
    tensor = shop.apply(tensor, kind, layer, f"repeat{axis}", size=per_axis(along(factor)), **last_if(layer.rank))
    first, last = (ops.take(tensor, np.full(factor // 2, end, "int32"), axis=axis + 1) for end in (0, -1))
    tensor = shop.apply([first, tensor, last], keras.layers.Concatenate, layer, f"ends{axis}", axis=axis + 1)
    kind = of_rank("AveragePooling", layer.rank)
    for window in (factor, 2) if factor % 2 == 0 else (factor,):
        tensor = shop.apply(tensor, kind, layer, f"mean{axis}_{window}", pool_size=along(window), strides=one, **_LAST)
    return tensor


def zero_padding(shop: Workshop, layer, signal: Signal) -> Signal:
    return signal.with_tensor(add_border(shop, layer, signal.tensor, layer.padding, part=""))


def cropping(shop: Workshop, layer, signal: Signal) -> Signal:
    return signal.with_tensor(_crop(shop, layer, signal.tensor, layer.cropping, ""))


# -- groups ------------------------------------------------------------------------------------------------------------


def restriction(shop: Workshop, layer, signal: Signal) -> Signal:
    """Nothing is computed: the cosets are channels already, of another name."""
    regions = layer.group.pooling_regions(layer.subgroup)
    copies, index = regions.shape
    place = np.empty(layer.group.order, int)
    place[regions.reshape(-1)] = np.arange(regions.size)  # element -> subgroup element * index + coset
    element, channel = np.divmod(signal.order, signal.channels)
    order = place[element] * signal.channels + channel
    return Signal(signal.tensor, index * signal.channels, order, copies, layer.data_format)


def lifting(shop: Workshop, layer, signal: Signal) -> Signal:
    copies = layer.group.order
    tensor = signal.tensor
    if copies > 1:
        tensor = shop.apply([tensor] * copies, keras.layers.Concatenate, layer, axis=-1)
    order = (np.arange(copies)[:, None] * signal.channels + signal.order).reshape(-1)
    return Signal(tensor, signal.channels, order, copies, layer.data_format)


def _families() -> dict[type, Any]:
    stems = {
        "GroupConv{}D": conv,
        "GroupConv{}DTranspose": conv_transpose,
        "DepthwiseGroupConv{}D": depthwise_conv,
        "SeparableGroupConv{}D": separable_conv,
        "GroupMaxPooling{}D": pooling,
        "GroupAveragePooling{}D": pooling,
        "GroupBlurPooling{}D": pooling,
        "GlobalGroupMaxPooling{}D": global_pooling,
        "GlobalGroupAveragePooling{}D": global_pooling,
        "GroupUpSampling{}D": upsampling,
        "GroupZeroPadding{}D": zero_padding,
        "GroupCropping{}D": cropping,
        "GroupRestriction{}D": restriction,
        "GroupLifting{}D": lifting,
    }
    found = {
        getattr(group_layers, stem.format(ndim)): counterpart
        for stem, counterpart in stems.items()
        for ndim in (1, 2, 3)
    }
    return {**found, group_layers.GroupDense: dense}


# Each layer that reads signals of one group, and what stands for it.
COUNTERPARTS = _families()
