"""What the larger architectures are built of, in any dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from groco import layers
from groco.groups import Group, GroupLike, get_group
from groco.layers.base import is_int
from groco.models.sizes import check_parities, take_multiples

EXACT, PAPER = "exact", "paper"

# For every layer with a data format: what input_shape says, and what trained models and preprocessors are, whatever
# Keras is set to.
LAST: dict[str, Any] = {"data_format": "channels_last"}


@dataclass(frozen=True)
class Blocks:
    """Layers of a net on a grid of `rank` dimensions.

    With `exact`, a strided convolution of an odd window is made equivariant on even sizes, where no padding could: the
    mean over neighbouring points, 2 on each axis at stride 1, first makes the size odd. It has no weights and costs
    little beside the convolution. Otherwise both sides are padded by half a window, as in the papers' nets; a point
    may be left over, and equivariance to turns is lost.
    """

    rank: int
    exact: bool = True
    use_bias: bool = True
    initializer: Any = "he_normal"

    def layer(self, kind: str, /, **kwargs) -> keras.layers.Layer:
        """A group layer by its name without the dimension: `"GroupConv"`, `"GroupConv|Transpose"`."""
        stem, _, suffix = kind.partition("|")
        return getattr(layers, f"{stem}{self.rank}D{suffix}")(**kwargs, **LAST)

    def group(self, group: GroupLike) -> Group:
        return get_group(group, self.rank)

    def conv(self, x, filters: int, size: int, group: Group, name: str, *, subgroup: Group | None = None, strides=1):
        """A convolution padded so that stride 1 keeps the size; strides above 1 need `odd` sizes to be exact."""
        broken = not self.exact and strides > 1
        if broken and size > 1:
            lifted = len(x.shape) == self.rank + 3
            padding = {"padding": size // 2, "name": f"{name}_padding"}
            if lifted:
                x = self.layer("GroupZeroPadding", group=group, **padding)(x)
            else:
                x = getattr(keras.layers, f"ZeroPadding{self.rank}D")(**padding, **LAST)(x)
        convolution = self.layer(
            "GroupConv",
            filters=filters,
            kernel_size=size,
            strides=strides,
            padding="valid" if broken else "same_equiv",
            group=group,
            subgroup=subgroup,
            use_bias=self.use_bias,
            kernel_initializer=keras.initializers.get(self.initializer),
            allow_non_equivariance=broken,
            name=name,
        )
        return convolution(x)

    def odd(self, x, group: Group, name: str):
        """Makes even (and unknown) sizes odd for a strided convolution, where the group has mirrors or turns."""
        sizes = x.shape[1 : self.rank + 1]
        if not self.exact or not any(group.mirrored_axes) or all(size is not None and size % 2 for size in sizes):
            return x
        window = tuple(1 if size is not None and size % 2 else 2 for size in sizes)
        if len(x.shape) == self.rank + 2:
            pooling = getattr(keras.layers, f"AveragePooling{self.rank}D")
            return pooling(window, strides=1, padding="valid", name=name, **LAST)(x)
        pooled = self.layer("GroupAveragePooling", pool_size=window, strides=1, padding="valid", group=group, name=name)
        return pooled(x)

    def halvable(self, name: str, inputs, group: Group, halvings: int):
        """The input of a net with strided convolutions behind `odd`: any known sizes, multiples if one is unknown.

        Raises:
            ValueError: if the sizes cannot be halved so often without breaking equivariance.
        """
        if not self.exact or not any(group.mirrored_axes):
            return inputs
        check_parities(name, inputs.shape[1:-1], group, halvings)
        return take_multiples(name, inputs, 2**halvings, always=False)

    def norm(self, x, name: str):
        return layers.GroupBatchNormalization(momentum=0.9, epsilon=1e-5, name=name, **LAST)(x)

    def norm_relu(self, x, name: str):
        return keras.layers.Activation("relu", name=f"{name}_relu")(self.norm(x, f"{name}_norm"))

    def conv_norm_relu(self, x, filters: int, size: int, group: Group, name: str, **kwargs):
        return self.norm_relu(self.conv(x, filters, size, group, f"{name}_conv", **kwargs), name)

    def global_pool(self, x, group: Group, pooling: str):
        """(batch, channels), the same however the input is turned."""
        kind = {"avg": "Average", "max": "Max"}[check_choice("pooling", pooling, ("avg", "max"))]
        return self.layer(f"GlobalGroup{kind}Pooling", group=group, name="global_pool")(x)


def classify(x, num_classes: int, activation, name: str = "head"):
    return keras.layers.Dense(num_classes, activation=activation, name=name)(x)


def check_choice(argument: str, value: Any, choices: tuple[str, ...]) -> Any:
    if value not in choices:
        raise ValueError(f"{argument} is one of {', '.join(map(repr, choices))}, got {value!r}.")
    return value


def new_input(name: str, input_shape, rank: int = 2):
    """The images or volumes that a net of this name takes.

    Raises:
        ValueError: if the shape is not that of an image or a volume.
    """
    if not isinstance(input_shape, (tuple, list)) or len(input_shape) != rank + 1:
        axes = ("depth", "height", "width")[3 - rank :]
        raise ValueError(f"{name}: input_shape is ({', '.join(axes)}, channels), got {input_shape}.")
    return keras.Input(input_shape, name="image" if rank == 2 else "volume")


def check_widths(widths, stages: int) -> tuple[int, ...]:
    widths = tuple(widths)
    if len(widths) != stages or any(not is_int(width) or width < 1 for width in widths):
        raise ValueError(f"widths are {stages} positive ints, one for each stage, got {widths}.")
    return tuple(int(width) for width in widths)
