"""The paddings that keep a strided layer equivariant, and the rule by which the others are refused.

Windows of `window` points at distance `stride` on an axis of `size` points, with `before` and `after` points added,
form a pattern that is mapped onto itself when the axis is reversed exactly if nothing is left over,

    (size + before + after - window) % stride == 0,    and    before == after.

An axis that some element of the group reverses needs both. Cohen & Welling 2016 (arXiv 1602.07576) do not treat this;
their 3x3 convolutions of stride 2 on 32x32 break it.
"""

from __future__ import annotations

PADDINGS = ("valid_equiv", "same_equiv", "valid", "same")


def total_padding(padding: str, size, window: int, stride: int, mirrored: bool, maximum=max):
    """Points added to one axis, both sides together.

    `valid` adds none and `same` what keras adds. `valid_equiv` and `same_equiv` add the least above that for which
    the windows use up a mirrored axis evenly, where there is such a number. `size` may be a tensor; then `maximum`
    is that of its backend.
    """
    total = 0 if padding.startswith("valid") else maximum((-(-size // stride) - 1) * stride + window - size, 0)
    if mirrored and padding.endswith("_equiv"):
        total = total + (window - size - total) % stride
        if stride % 2:
            total = total + stride * (total % 2)
    return total


def is_exact(total, size, window: int, stride: int):
    """1 where `total` points of padding, split evenly, keep a mirrored axis equivariant, else 0; tensors too."""
    return (1 - total % 2) * (1 - ((size + total - window) % stride + stride - 1) // stride)


def depends_on_size(padding: str, stride: int, mirrored: bool) -> bool:
    """Whether padding or exactness cannot be told before the size of the axis is known."""
    return stride > 1 and (mirrored or padding.startswith("same"))


def working_sizes(padding: str, size: int, window: int, stride: int, count: int = 2) -> list[int]:
    """The sizes nearest to `size` for which the padding is exact; empty if there are none."""
    found: list[int] = []
    for distance in range(1, 2 * stride + 2):
        for candidate in (size - distance, size + distance):
            total = total_padding(padding, candidate, window, stride, True)
            if candidate > 0 and candidate + total >= window and is_exact(total, candidate, window, stride):
                found.append(candidate)
    return sorted(found[:count])
