"""How the layers choose between the dense convolution and those in the Fourier basis of the group."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from groco.fourier import IMPLEMENTATIONS, has_fourier, is_faster, pointwise_conv, split_conv
from groco.fourier.splitting import is_padded
from groco.groups import Group
from groco.layers.base import merge_last_axes, split_last_axis
from groco.layers.convolve import every
from groco.layers.weighted import WeightedGroupLayer


class ChoiceOfImplementation(WeightedGroupLayer):
    """Base of the layers with the argument `implementation`.

    All implementations have the same weights and give the same outputs, up to rounding.
    """

    implementation: str

    def _set_implementation(self, implementation: str) -> None:
        if implementation not in IMPLEMENTATIONS:
            raise self._error(f"implementation is one of {', '.join(IMPLEMENTATIONS)}, got {implementation!r}.")
        self.implementation = implementation

    def _check_implementation(
        self, group_in: Group | None, group_out: Group, size: tuple[int, ...], groups: int = 1
    ) -> None:
        """Raises ValueError if the implementation that is asked for by name does not exist."""
        if self.implementation != "fourier" or has_fourier(group_in, group_out, size, groups):
            return
        if group_in is None:
            reason = "the input is an image, which has no group axis to transform"
        elif groups > 1:
            reason = f"groups={groups}, and channels must all be mixed"
        elif math.prod(size) == 1:
            reason = f"{group_out.name!r} is trivial"
        else:
            reason = f"no element of {group_out.name!r} only flips axes, by which kernels of size {size} are split"
        raise self._error(f"implementation='fourier' does not exist here: {reason}. Use 'auto' or 'dense'.")

    def _is_fourier(
        self,
        group_in: Group,
        group_out: Group,
        size: tuple[int, ...],
        strides: tuple[int, ...],
        channels: int,
        filters: int,
        groups: int = 1,
        grid: Sequence[int | None] = (None,),
        gradient: bool = False,
    ) -> bool:
        """Whether a convolution of the layer is done in the Fourier basis.

        Args:
            grid: (batch, *spatial) of its output.
            gradient: whether gradients follow, which another one may be the faster one for.
        """
        if self.implementation == "dense" or not has_fourier(group_in, group_out, size, groups):
            return False
        if self.implementation == "fourier":
            return True
        known = [length for length in grid if isinstance(length, int)]
        points = math.prod(known) if len(known) == len(grid) else None
        shape = (size, strides, channels, filters)
        return is_faster(group_in, group_out, *shape, self.compute_dtype, points, gradient)

    def _output_grid(self, signal) -> tuple[int | None, ...]:
        """(batch, *spatial) of the output of the windows; None where a size is not known."""
        return signal.shape[0], *self._window_output_sizes(signal.shape[1:-2], self._windows, self.strides)

    def _fourier_conv(self, signal, kernel):
        """The group convolution of (batch, *spatial, |group|, channels), padded as the layer asks."""
        windows, strides = self._windows, self.strides
        signal, paddings = self._checked_paddings(signal, windows, strides)
        if max(windows) > 1:
            options = (paddings, strides, self.dilation_rate, self._prepare)
            return split_conv(signal, kernel, self.group, self.subgroup, *options)
        if is_padded(paddings):
            signal = ops.pad(signal, ((0, 0), *paddings, (0, 0), (0, 0)))
        if max(strides) > 1:
            channels = signal.shape[-1]
            signal = split_last_axis(every(merge_last_axes(signal), strides), self.group.order, channels)
        kernel = ops.reshape(kernel, kernel.shape[self.rank :])
        return pointwise_conv(signal, kernel, self.group, self.subgroup, self._prepare)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "implementation": self.implementation}
