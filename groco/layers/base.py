"""What all layers that read signals on a group have in common."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.src.backend.common.symbolic_scope import in_symbolic_scope

from groco.fourier.splitting import is_padded
from groco.groups import Group, GroupLike, get_group
from groco.layers import padding as padding_rule
from groco.layers.checked import checked
from groco.layers.history import writers

_EXAMPLES = {
    1: "'PM' for mirrors, 'P1' for none",
    2: "'P4' for quarter turns, 'P4M' for mirrors too, 'P1' for none",
    3: "'O' for the rotations of a cube, 'Oh' for mirrors too, 'C1' for none",
}

AXIS_NAMES = {1: ("width",), 2: ("height", "width"), 3: ("depth", "height", "width")}
MOST_CONCATENATED = 4  # copies of numbers, see `repeat_channels`


class GroupLayer(keras.layers.Layer):
    """Base of the layers that read signals on `group` and write signals on `subgroup`.

    Subclasses set `rank`, the dimension of the grid. A signal on the group is (batch, *spatial, |group|, channels)
    with channels_last, (batch, channels, *spatial, |group|) with channels_first.
    """

    rank: int
    padding: Any  # how windows are padded; in GroupZeroPadding, by how much

    def __init__(
        self,
        *,
        group: GroupLike | None = None,
        subgroup: GroupLike | None = None,
        data_format: str | None = None,
        allow_non_equivariance: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if group is None:
            rank = getattr(self, "rank", 2)  # GroupDense finds its own
            raise TypeError(
                f"{type(self).__name__} (name={self.name!r}): it needs group=, the symmetry that its outputs follow: "
                f"{_EXAMPLES[rank]}, as in Keras' own layer; groco.groups.list_groups({rank}) gives all."
            )
        self.data_format = keras.config.image_data_format() if data_format is None else data_format
        if self.data_format not in ("channels_last", "channels_first"):
            raise self._error(f"data_format is 'channels_last' or 'channels_first', got {data_format!r}.")
        self.allow_non_equivariance = bool(allow_non_equivariance)
        self.group = self._find_group("group", group)
        self.subgroup = self.group if subgroup is None else self._find_group("subgroup", subgroup)
        if not self.group.is_subgroup(self.subgroup):
            names = ", ".join(h.name for h in self.group.subgroups)
            raise self._error(
                f"subgroup={self.subgroup.name!r} is not a subgroup of group={self.group.name!r}; use one of {names}."
            )

    def __call__(self, inputs, *args, **kwargs):
        shape = getattr(inputs, "shape", None)
        if self.built and shape is not None and not self._is_as_built(shape):
            self.compute_output_shape(tuple(shape))  # says so where the shape is wrong for every layer like this
            raise self._error(
                f"it was built for inputs of shape {self.get_build_config()['input_shape']}, got shape {tuple(shape)}; "
                "use a new layer for inputs of another rank or with other channels."
            )
        if isinstance(inputs, keras.KerasTensor) and not self.allow_non_equivariance:
            self._check_written(inputs)
        return super().__call__(inputs, *args, **kwargs)

    def _is_as_built(self, shape) -> bool:
        """Whether the shape is of the rank, the group axis and, where there are weights, the channels of the first."""
        spec = self.input_spec
        if spec is None:
            return True
        if spec.ndim not in (None, len(shape)) or len(shape) < (spec.min_ndim or 0):
            return False
        return all(shape[axis] in (None, length) for axis, length in spec.axes.items())

    def _check_written(self, signal) -> None:
        """Raises ValueError for a signal on another group of as many elements, whose shape tells nothing."""
        mine = self.input_group
        if not self._is_on_group(len(signal.shape)):
            return
        for layer in writers(signal):
            its = layer.output_group
            if (its.ndim, its.order) == (mine.ndim, mine.order) and its is not mine:
                raise self._error(
                    f"its input is a signal on {its.name!r}, which {layer.name!r} writes, and it reads one on "
                    f"{mine.name!r}: as many elements, but others; use the same group in both, or "
                    "allow_non_equivariance=True."
                )

    def _is_on_group(self, rank: int) -> bool:
        """Whether an input of that rank has a group axis."""
        return rank == self.rank + 3

    @property
    def input_group(self) -> Group:
        """The group on which the inputs are given."""
        return self.group

    @property
    def output_group(self) -> Group:
        """The group on which the outputs are written."""
        return self.subgroup

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "group": self.group.name,
            "subgroup": self.subgroup.name,
            "data_format": self.data_format,
            "allow_non_equivariance": self.allow_non_equivariance,
        }

    def _forget_if_strict(self, config: dict[str, Any]) -> None:
        """Leaves `allow_non_equivariance` out where only a signal on another group could break equivariance."""
        if not self.allow_non_equivariance:
            del config["allow_non_equivariance"]

    # -- errors ----------------------------------------------------------------------------------------------------

    def _error(self, message: str) -> ValueError:
        return ValueError(f"{type(self).__name__} (name={self.name!r}): {message}")

    def _find_group(self, argument: str, group: GroupLike) -> Group:
        try:
            return get_group(group, self.rank)
        except ValueError as error:
            raise self._error(f"{argument}={group!r}: {error}") from None

    # -- arguments -------------------------------------------------------------------------------------------------

    def _per_axis(self, argument: str, value, minimum: int = 1) -> tuple[int, ...]:
        """An int or one int per spatial axis as a tuple, equal on axes that the subgroup exchanges."""
        values = (value,) * self.rank if is_int(value) else tuple(value) if isinstance(value, (tuple, list)) else ()
        if len(values) != self.rank or any(not is_int(v) or v < minimum for v in values):
            raise self._error(f"{argument} is an int or {self.rank} ints, at least {minimum} each, got {value!r}.")
        return tuple(int(v) for v in values)

    def _check_equal_on_orbits(self, argument: str, values: tuple[int, ...], group: Group | None = None) -> None:
        """Raises ValueError unless the values are equal on axes that the group (the subgroup) exchanges."""
        group = group or self.subgroup
        for orbit in group.axis_orbits:
            if len({values[axis] for axis in orbit}) > 1:
                names = ", ".join(AXIS_NAMES[self.rank][axis] for axis in orbit)
                raise self._error(
                    f"{argument}={values} differs along axes that {group.name!r} exchanges ({names}); "
                    f"make it equal there, or use a group that does not exchange them."
                )

    def _check_padding(self, padding) -> str:
        lowered = padding.lower() if isinstance(padding, str) else padding
        if lowered not in padding_rule.PADDINGS:
            raise self._error(f"padding is one of {', '.join(padding_rule.PADDINGS)}, got {padding!r}.")
        return lowered

    def _positive(self, argument: str, value) -> int:
        if not is_int(value) or value < 1:
            raise self._error(f"{argument} is an int, at least 1, got {value!r}.")
        return int(value)

    def _set_windows(self, kernel_size, strides, dilation_rate, padding) -> None:
        """Checks and keeps the arguments that say which windows a convolution reads."""
        self.kernel_size = self._per_axis("kernel_size", kernel_size)
        self.strides = self._per_axis("strides", strides)
        self.dilation_rate = self._per_axis("dilation_rate", dilation_rate)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise self._error(
                f"strides={self.strides} and dilation_rate={self.dilation_rate} cannot both be above 1; dilate a layer "
                "of stride 1, or subsample with a pooling after it."
            )
        self._check_equal_on_orbits("kernel_size", self.kernel_size)
        if not self.allow_non_equivariance:
            self._check_equal_on_orbits("strides", self.strides)
            self._check_equal_on_orbits("dilation_rate", self.dilation_rate)
        self.padding = self._check_padding(padding)

    @property
    def _windows(self) -> tuple[int, ...]:
        """Points from the first to the last of a window, on each axis."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel_size, self.dilation_rate, strict=True))

    # -- shapes ----------------------------------------------------------------------------------------------------

    def _split_shape(self, shape) -> tuple[tuple, int | None, int]:
        """Spatial sizes, length of the group axis (None for an image) and number of channels of an input shape."""
        shape = tuple(shape)
        axes = shape[1:-1] if self.data_format == "channels_last" else shape[2:]
        channels: Any = shape[-1] if self.data_format == "channels_last" else shape[1] if len(shape) > 1 else None
        order = axes[self.rank] if len(axes) == self.rank + 1 else None
        return axes[: self.rank], order, channels

    def _join_shape(self, batch, spatial, order: int | None, channels) -> tuple:
        axes = tuple(spatial) + (() if order is None else (order,))
        return (batch, *axes, channels) if self.data_format == "channels_last" else (batch, channels, *axes)

    def _check_input_shape(self, shape, image_allowed: bool) -> None:
        """Raises ValueError unless the shape is a signal on the input group (or, where allowed, an image)."""
        group = self.input_group
        _, order, channels = self._split_shape(shape)
        ranks = [self.rank + 2, self.rank + 3] if image_allowed else [self.rank + 3]
        names = [f"{name}" for name in AXIS_NAMES[self.rank]]
        wanted = [self._join_shape("batch", names, n, "channels") for n in (None, group.order)]
        if len(shape) not in ranks:
            expected = f"an image {_pretty(wanted[0])} or " if image_allowed else ""
            raise self._error(
                f"it needs {expected}a signal on {group.name!r} {_pretty(wanted[1])}, got shape {tuple(shape)}"
                + ("." if image_allowed or len(shape) != self.rank + 2 else "; put a lifting convolution before it.")
            )
        if len(shape) == self.rank + 3 and order != group.order:
            raise self._error(
                f"a signal on {group.name!r} has a group axis of length {group.order}, "
                f"{_pretty(wanted[1])}, got shape {tuple(shape)}; use the group that the layer before writes."
            )
        if channels is None:
            raise self._error(f"the number of channels must be known, got shape {tuple(shape)}.")

    def _spec_of(self, shape, weights: bool = True) -> keras.InputSpec:
        """What is taken after an input of that shape: as in Keras, other channels too if there are no weights."""
        _, order, channels = self._split_shape(shape)
        last = self.data_format == "channels_last"
        axes = {-1 if last else 1: channels} if weights else {}
        if order is not None:
            axes[-2 if last else -1] = order
        return keras.InputSpec(ndim=len(shape), axes=axes)

    # -- windows ---------------------------------------------------------------------------------------------------

    @property
    def _window_group(self) -> Group:
        """The group whose elements must map the pattern of windows onto itself."""
        return self.subgroup

    def _window_paddings(self, sizes, windows, strides) -> list[tuple]:
        """(before, after) for each spatial axis; None for both where it depends on a size not known yet.

        Raises ValueError where no padding of the kind asked for keeps the layer equivariant.
        """
        paddings = []
        for axis, (size, window, stride) in enumerate(zip(sizes, windows, strides, strict=True)):
            mirrored = self._window_group.mirrored_axes[axis]
            depends = padding_rule.depends_on_size(self.padding, stride, mirrored)
            if size is None and depends:
                paddings.append((None, None))
                continue
            if depends and is_expression(size):
                paddings.append(self._padding_of_expression(axis, size, window, stride))
                continue
            judged = size is None or is_judged(size)
            size = size if isinstance(size, int) else window  # any will do
            total = padding_rule.total_padding(self.padding, size, window, stride, mirrored)
            if judged and size + total < window:
                raise self._error(self._too_small(axis, size, window))
            strict = judged and mirrored and not self.allow_non_equivariance
            if strict and not padding_rule.is_exact(total, size, window, stride):
                raise self._error(self._broken(axis, size, window, stride))
            paddings.append((total // 2, total - total // 2))
        return paddings

    def _padding_of_expression(self, axis: int, size, window: int, stride: int) -> tuple:
        """The padding for a size that an export only learns later, where it is the same for all that it may be.

        PyTorch's expressions decide what they are asked by a guard, which its export names if it cannot hold.
        """
        mirrored = self._window_group.mirrored_axes[axis]
        try:
            total = padding_rule.total_padding(self.padding, size, window, stride, mirrored)
            strict = mirrored and not self.allow_non_equivariance
            exact = padding_rule.is_exact(total, size, window, stride) if strict else 1
            if keras.backend.backend() == "jax":
                total, exact = int(total), int(exact)
        except Exception as error:
            if type(error).__name__ != "InconclusiveDimensionOperation":  # JAX's, which this layer does not import
                raise
            raise self._error(
                f"how padding={self.padding!r} pads with window {window} and stride {stride}, and whether that is "
                f"equivariant to {self._window_group.name!r}, depends on the {AXIS_NAMES[self.rank][axis]}, which is "
                f"not known here but as {size}; give it a size, or one that is a multiple of the strides, as in "
                "jax.export.symbolic_shape('b, 8*h, 8*w, c'), or use TensorFlow."
            ) from None
        if not exact:
            raise self._error(self._broken(axis, None, window, stride))
        return total // 2, total - total // 2

    def _possible_totals(self, axis: int, window: int, stride: int) -> dict[int, int]:
        """The padding for each of the sizes that the layer takes, up to where they repeat."""
        mirrored = self._window_group.mirrored_axes[axis]
        totals = {}
        for size in range(1, window + 4 * stride):
            total = padding_rule.total_padding(self.padding, size, window, stride, mirrored)
            exact = self.allow_non_equivariance or not mirrored
            if size + total >= window and (exact or padding_rule.is_exact(total, size, window, stride)):
                totals[size] = total
        return totals

    def _checked_paddings(self, inputs, windows, strides) -> tuple[Any, list[tuple]]:
        """The inputs, (batch, *spatial, ...), and (before, after) for each spatial axis.

        What a TensorFlow graph only learns about sizes when it runs is checked then; the amounts may be tensors.
        """
        paddings = self._window_paddings(tuple(inputs.shape[1 : self.rank + 1]), windows, strides)
        for axis, (window, stride) in enumerate(zip(windows, strides, strict=True)):
            if inputs.shape[axis + 1] is not None:
                continue
            size = ops.shape(inputs)[axis + 1]
            mirrored = self._window_group.mirrored_axes[axis]
            if paddings[axis][0] is None:
                total = padding_rule.total_padding(self.padding, size, window, stride, mirrored, maximum=ops.maximum)
                paddings[axis] = (total // 2, total - total // 2)
                if mirrored and not self.allow_non_equivariance:
                    fits = ops.equal(padding_rule.is_exact(total, size, window, stride), 1)
                    inputs = checked(inputs, fits, str(self._error(self._broken(axis, None, window, stride))))
            if window > 1 and self.padding.startswith("valid"):  # the others pad up to a window at least
                fits = ops.greater_equal(size + sum(paddings[axis]), window)
                inputs = checked(inputs, fits, str(self._error(self._too_small(axis, None, window))))
        return inputs, paddings

    def _too_small(self, axis: int, size: int | None, window: int) -> str:
        return (
            f"the {AXIS_NAMES[self.rank][axis]} of the input is {'' if size is None else f'{size}, '}smaller than the "
            f"window of {window} (padding={self.padding!r}); use a larger input or a smaller window."
        )

    def _broken(self, axis: int, size: int | None, window: int, stride: int) -> str:
        got = f"{AXIS_NAMES[self.rank][axis]}{'' if size is None else f' {size}'}"
        message = (
            f"padding={self.padding!r} breaks equivariance to {self._window_group.name!r} with {got}, window {window} "
            f"((kernel - 1) * dilation + 1, or the pool), stride {stride}: "
        )
        remedies = []
        if self.padding.endswith("_equiv"):
            message += "no equal padding of both sides makes size + padding - window a multiple of the stride"
            remedies.append("a window of the parity of the size, or an odd stride")
        else:
            message += "it must pad both sides equally and leave no rest"
            equiv = f"{self.padding}_equiv"
            total = 0 if size is None else padding_rule.total_padding(equiv, size, window, stride, True)
            if size is None or padding_rule.is_exact(total, size, window, stride):
                remedies.append(f"padding={equiv!r}")
            else:
                remedies.append(f"a window of the parity of the size, or an odd stride, with {equiv}")
        if size is not None:
            sizes = padding_rule.working_sizes(self.padding, size, window, stride)
            if sizes:
                remedies.insert(0, f"an input size of {' or '.join(map(str, sizes))}")
        return f"{message}. What works: {'; '.join(remedies)}; or allow_non_equivariance=True."

    def _pad_windows(self, inputs, windows, strides, value: float = 0.0, leave_same: bool = True):
        """Pads (batch, *spatial, channels) as `self.padding` asks.

        Returns the padded inputs and the padding that is left to the backend's own operation: `"valid"`, or, if
        `leave_same`, `"same"` where that is the same thing without a copy of the inputs.
        """
        inputs, paddings = self._checked_paddings(inputs, windows, strides)
        if not is_padded(paddings):
            return inputs, "valid"
        if leave_same and self._is_same(inputs, windows, strides, paddings):
            return inputs, "same"
        return ops.pad(inputs, ((0, 0), *paddings, (0, 0)), mode="constant", constant_values=value), "valid"

    @staticmethod
    def _is_same(inputs, windows, strides, paddings) -> bool:
        # In bfloat16 oneDNN, which TensorFlow and PyTorch take on a CPU, reads and writes beyond the arrays where it
        # pads in 3-D and windows are not much smaller than the inputs. What CPUs with float16 do is not known.
        careful = len(windows) == 3 and keras.backend.standardize_dtype(inputs.dtype) in ("bfloat16", "float16")
        for size, window, stride, pair in zip(inputs.shape[1:-1], windows, strides, paddings, strict=True):
            known = isinstance(size, int)
            if stride > 1 and (not known or size <= stride):
                return False  # not known; or one window, whose gradient oneDNN gets wrong in bfloat16
            if careful and (not known or size < 2 * (window - 1)):
                return False
            total = padding_rule.total_padding("same", size or window, window, stride, False)
            if pair != (total // 2, total - total // 2):
                return False
        return True

    def _window_output_sizes(self, sizes, windows, strides) -> tuple:
        return tuple(
            None if size is None or before is None else (size + before + after - window) // stride + 1
            for size, window, stride, (before, after) in zip(
                sizes, windows, strides, self._window_paddings(sizes, windows, strides), strict=True
            )
        )

    # -- layout ----------------------------------------------------------------------------------------------------

    def _to_channels_last(self, inputs):
        if self.data_format == "channels_last":
            return inputs
        return ops.moveaxis(inputs, 1, -1)

    def _from_channels_last(self, outputs):
        if self.data_format == "channels_last":
            return outputs
        return ops.moveaxis(outputs, -1, 1)


class GridLayer(GroupLayer):
    """Base of the layers that change the grid alone, by no weights: of images and of signals, one after the other."""

    def build(self, input_shape):
        self.compute_output_shape(input_shape)
        self.input_spec = keras.InputSpec(min_ndim=self.rank + 2, max_ndim=self.rank + 3)
        super().build(input_shape)

    def _is_as_built(self, shape) -> bool:
        ranks = (self.rank + 2, self.rank + 3)
        return len(shape) in ranks and self._split_shape(shape)[1] in (None, self.group.order)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["subgroup"]  # it is the group
        return config


def repeat_channels(values, copies: int):
    """(channels,) -> (copies channels,): values of channels as those of each element's channels.

    On JAX few copies are concatenated and many are gathered: XLA spreads a tile over the whole signal, which on a CPU
    keeps a net from becoming one fusion, and P4CNN takes 4 times as long. A gather is one operation more of those that
    a fusion may have, and P4CNN takes 1.2 times as long; concatenated, P4M-ResNet takes 1.05 times as long.
    """
    if keras.backend.backend() != "jax":
        return ops.tile(values, [copies])
    if copies <= MOST_CONCATENATED:
        return ops.concatenate([values] * copies)
    return ops.take(values, np.tile(np.arange(values.shape[0]), copies))


def merge_last_axes(inputs):
    """(..., a, b) -> (..., a b)."""
    shape = ops.shape(inputs)
    return reshape(inputs, (*shape[:-2], shape[-2] * shape[-1]))


def split_last_axis(inputs, *lengths: int):
    """(..., a b) -> (..., a, b)."""
    return reshape(inputs, (*ops.shape(inputs)[:-1], *lengths))


def reshape(inputs, shape):
    """`keras.ops.reshape` of a tensor, which takes 20 to 30 microseconds more on PyTorch, as all functions of Keras."""
    return inputs.reshape(shape) if keras.backend.backend() == "torch" else ops.reshape(inputs, shape)


def is_judged(size) -> bool:
    """Whether it is the size of an input, which may be refused.

    Keras calls layers of the user's own that have no `compute_output_shape`, and ours in them, with others where sizes
    are not known: 83 and 89 on PyTorch, an expression on JAX. The sizes of the data are checked when it comes.
    """
    return isinstance(size, int) and not (keras.backend.backend() == "torch" and in_symbolic_scope())


def is_expression(size) -> bool:
    """Whether it is a size of data that an export or a compiler on JAX or PyTorch only knows later."""
    return size is not None and not isinstance(size, int) and not in_symbolic_scope()


def is_int(value) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _pretty(shape) -> str:
    return f"({', '.join(map(str, shape))})"
