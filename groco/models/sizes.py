"""Which sizes of the input a net takes, and saying so where it is built or called with others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from groco.groups import Group
from groco.layers.base import AXIS_NAMES, is_judged
from groco.layers.checked import checked


def take_multiples(name: str, inputs, multiple: int, always: bool = True):
    """Checks the sizes of a net's input; unknown ones are checked when it is called.

    Args:
        name: of the net, for the message.
        inputs: the input, (batch, *spatial, channels).
        multiple: what the sizes are multiples of.
        always: False checks nothing unless a size is unknown: for nets that take any known size.

    Returns:
        The input, behind a `SizeCheck` if a size is unknown.

    Raises:
        ValueError: if a size is not a multiple; the message names the nearest that are.
    """
    sizes = tuple(inputs.shape[1:-1])
    if always or None in sizes:
        check_multiples(name, sizes, multiple)
    return SizeCheck(multiple, name="sizes")(inputs) if None in sizes and multiple > 1 else inputs


def check_multiples(name: str, sizes: Sequence[int | None], multiple: int) -> None:
    for size in sizes:
        if size is not None and (size < multiple or size % multiple):
            raise ValueError(
                f"{name}: the sizes of the input are multiples of {multiple}, got {_product(sizes)}; "
                f"the nearest to {size}: {nearest_multiples(size, multiple)}. Pad or crop, or build the net with fewer "
                "levels or strides."
            )


def nearest_multiples(size: int, multiple: int) -> str:
    """Those below and above a size, for a message."""
    below, above = size // multiple * multiple, -(-size // multiple) * multiple
    return " and ".join(str(n) for n in sorted({below or multiple, above}))


def check_parities(name: str, sizes: Sequence, group: Group, halvings: int) -> None:
    """Raises ValueError if axes that the group exchanges are not all even or all odd before each halving.

    What makes even sizes odd before a stride (see `Blocks.odd`) would have to do so on one of them only.
    """
    if None in sizes:
        return
    for orbit in group.axis_orbits:
        found = [sizes[axis] for axis in orbit]
        for _ in range(halvings):
            if len({size % 2 for size in found}) > 1:
                names = " and ".join(AXIS_NAMES[len(sizes)][axis] for axis in orbit)
                raise ValueError(
                    f"{name}: {group.name!r} exchanges {names}, which must be all even or all odd before each of "
                    f"{halvings} halvings, got {_product(sizes)}; equal sizes are, and multiples of {2**halvings}."
                )
            found = [-(-size // 2) for size in found]


@keras.saving.register_keras_serializable(package="groco")
class SizeCheck(keras.layers.Layer):
    """Passes its input on if its sizes are multiples of `multiple`, else raises a ValueError that says which are.

    It stands at the head of nets for unknown sizes: further in, the message would be about the sizes there.
    """

    def __init__(self, multiple: int, **kwargs):
        super().__init__(**kwargs)
        self.multiple = multiple

    def call(self, inputs):
        sizes = tuple(inputs.shape[1:-1])
        check_multiples(self.name, [size if is_judged(size) else None for size in sizes], self.multiple)
        if None in sizes and keras.backend.backend() == "tensorflow":
            fits = ops.all(ops.equal(ops.stack(ops.shape(inputs)[1:-1]) % self.multiple, 0))
            return checked(inputs, fits, f"{self.name}: the sizes of the input are multiples of {self.multiple}.")
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "multiple": self.multiple}


def _product(sizes: Sequence[int | None]) -> str:
    return " x ".join("any" if size is None else str(size) for size in sizes)
