"""Augmentations of a batch, as plain functions of numpy arrays, so that every backend trains on the same numbers.

Each takes prepared inputs (n, *spatial, channels) float32, labels and a random generator, and returns new inputs and
labels. Labels with spatial axes (n, *spatial) move with the inputs. A config names them with their arguments, in order:
`[["flip", {}], ["shift", {"pixels": 2}]]`.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from groco.groups import act, get_group

Batch = tuple[np.ndarray, np.ndarray]


def apply(augmentations: Sequence, inputs: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> Batch:
    """The batch after all augmentations of a config."""
    for name, arguments in augmentations:
        inputs, labels = AUGMENTATIONS[name](inputs, labels, rng, **arguments)
    return inputs, labels


def try_out(augmentations: Sequence, inputs: np.ndarray, labels: np.ndarray) -> Batch:
    """Applies them; raises ValueError that names the first that cannot be applied to such inputs and labels."""
    rng = np.random.default_rng(0)
    for name, arguments in augmentations:
        try:
            inputs, labels = AUGMENTATIONS[name](inputs, labels, rng, **arguments)
        except Exception as error:  # whatever wrong arguments make numpy and scipy raise
            raise ValueError(
                f"the augmentation {name} with {arguments} cannot be applied to inputs {inputs.shape[1:]}: {error}"
            ) from None
    return inputs, labels


def check(augmentations: Sequence) -> None:
    """Raises ValueError unless each is a pair of a known name and a table of arguments that it has."""
    if not isinstance(augmentations, (list, tuple)):
        raise ValueError(f"augment is a list of augmentations, got {augmentations!r}.")
    for entry in augmentations:
        pair = isinstance(entry, (list, tuple)) and len(entry) == 2
        if not pair or not isinstance(entry[0], str) or entry[0] not in AUGMENTATIONS or not isinstance(entry[1], dict):
            raise ValueError(
                f"an augmentation is a pair of a name and a table of arguments, got {entry!r}; "
                f"the names: {', '.join(AUGMENTATIONS)}."
            )
        name, arguments = entry
        parameters = list(inspect.signature(AUGMENTATIONS[name]).parameters.values())[3:]
        known = [parameter.name for parameter in parameters]
        needed = [parameter.name for parameter in parameters if parameter.default is inspect.Parameter.empty]
        if missing := [key for key in needed if key not in arguments]:
            raise ValueError(f"the augmentation {name} needs {', '.join(missing)}, got {arguments}.")
        if unknown := sorted(set(map(str, arguments)) - set(known)):
            raise ValueError(
                f"the augmentation {name} has no argument {', '.join(unknown)}; it has {', '.join(known) or 'none'}."
            )
        for key, value in arguments.items():
            most = 1 if key == "probability" else math.inf
            if isinstance(value, (int, float)) and not 0 <= value <= most:
                limit = " and at most 1" if key == "probability" else ""
                raise ValueError(f"the augmentation {name} has a {key} of at least 0{limit}, got {value}.")


def flip(inputs, labels, rng, probability: float = 0.5) -> Batch:
    """Mirrors an image left to right."""
    chosen = rng.random(len(inputs)) < probability
    if _dense(labels):
        labels = _where(chosen, labels, np.flip(labels, 2))
    return _where(chosen, inputs, np.flip(inputs, 2)), labels


def symmetry(inputs, labels, rng, group: str) -> Batch:
    """Turns or mirrors each example by an element of a group that maps the grid to itself, drawn uniformly."""
    ndim = inputs.ndim - 2
    point_group, axes = get_group(group, ndim), range(ndim)
    elements = rng.integers(point_group.order, size=len(inputs))
    inputs = np.stack([act(point_group, int(g), x, axes) for g, x in zip(elements, inputs, strict=True)])
    if _dense(labels):
        labels = np.stack([act(point_group, int(g), y, axes) for g, y in zip(elements, labels, strict=True)])
    return inputs, labels


def crop(inputs, labels, rng, size: int) -> Batch:
    """Cuts a square (a cube) of `size` points out of each example, anywhere."""
    spatial = inputs.shape[1:-1]
    if not 1 <= size <= min(spatial):
        raise ValueError(f"crop: a window of {size} points does not fit inputs of {' x '.join(map(str, spatial))}.")
    starts = np.stack([rng.integers(n - size + 1, size=len(inputs)) for n in spatial], axis=1)
    windows = [(i, *(slice(s, s + size) for s in start)) for i, start in enumerate(starts)]
    inputs = np.stack([inputs[window] for window in windows])
    return inputs, np.stack([labels[window] for window in windows]) if _dense(labels) else labels


def pad_and_crop(inputs, labels, rng, pixels: int = 4) -> Batch:
    """Shifts an image by up to `pixels` whole pixels on each axis; what comes from outside is 0, the mean colour."""
    if _dense(labels):
        raise ValueError("pad_and_crop: nothing is known of labels outside of the image; shift continues both.")
    n, height, width, _ = inputs.shape
    padded = np.pad(inputs, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)))
    top, left = rng.integers(2 * pixels + 1, size=(2, n))
    rows = top[:, None] + np.arange(height)
    columns = left[:, None] + np.arange(width)
    return padded[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]], labels


def shift(inputs, labels, rng, pixels: float = 2.0) -> Batch:
    """Shifts an image by up to `pixels` on each axis, not only whole ones: cubic splines, reflected borders."""
    from scipy import ndimage

    offsets = rng.uniform(-pixels, pixels, size=(len(inputs), 2))
    moved = [
        ndimage.shift(image, (*offset, 0), order=3, mode="reflect")
        for image, offset in zip(inputs, offsets, strict=True)
    ]
    if _dense(labels):
        pairs = zip(labels, offsets, strict=True)
        labels = np.stack([ndimage.shift(mask, offset, order=0, mode="reflect") for mask, offset in pairs])
    return np.stack(moved), labels


def rotate(inputs, labels, rng, degrees: float = 180.0) -> Batch:
    """Turns an image about its centre by up to `degrees` either way: linear interpolation, borders continued."""
    from scipy import ndimage

    angles = rng.uniform(-degrees, degrees, size=len(inputs))
    turned = [
        ndimage.rotate(image, float(angle), axes=(0, 1), reshape=False, order=1, mode="nearest")
        for image, angle in zip(inputs, angles, strict=True)
    ]
    if _dense(labels):
        masks = [
            ndimage.rotate(mask, float(angle), reshape=False, order=0, mode="nearest")
            for mask, angle in zip(labels, angles, strict=True)
        ]
        labels = np.stack(masks)
    return np.stack(turned), labels


def cutout(inputs, labels, rng, size: int = 8) -> Batch:
    """Sets a square, which may reach over the border, to 0, the mean colour (DeVries & Taylor 2017, 1708.04552)."""
    n, height, width, _ = inputs.shape
    top = rng.integers(height, size=n)[:, None] - size // 2
    left = rng.integers(width, size=n)[:, None] - size // 2
    rows, columns = np.arange(height), np.arange(width)
    inside = ((rows >= top) & (rows < top + size))[:, :, None] & ((columns >= left) & (columns < left + size))[:, None]
    return np.where(inside[..., None], np.float32(0), inputs), labels


def elastic(
    inputs,
    labels,
    rng,
    size: int | None = None,
    degrees: float = 180.0,
    scale: float = 0.1,
    displacement: float = 4.0,
    spacing: int = 48,
) -> Batch:
    """Turns, scales and bends each image and its labels together (Ronneberger et al. 2015, arXiv 1505.04597).

    Args:
        size: of the square window to make, in pixels, about a point drawn where an upright window would fit; None keeps
            the size. What lies outside of the image is its reflection.
        degrees: of the largest turn either way.
        scale: largest relative change of size.
        displacement: standard deviation, in pixels, of random displacements on a coarse grid, interpolated by cubic
            splines in between.
        spacing: of that grid, in pixels.
    """
    from scipy import ndimage

    whole = inputs.shape[1:3]
    window = whole if size is None else (size, size)
    if any(not 1 <= n <= m for n, m in zip(window, whole, strict=True)):
        raise ValueError(f"elastic: a window of {size} pixels does not fit images of {whole[0]} x {whole[1]}.")
    grid = np.stack(np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in window), indexing="ij"))
    splines = [_spline_matrix(n, spacing) for n in window]
    new_inputs = np.empty((len(inputs), *window, inputs.shape[-1]), inputs.dtype)
    new_labels = np.empty((len(labels), *window), labels.dtype) if _dense(labels) else labels
    for index in range(len(inputs)):
        centre = [rng.uniform((n - 1) / 2, m - 1 - (n - 1) / 2) for n, m in zip(window, whole, strict=True)]
        angle, factor = np.deg2rad(rng.uniform(-degrees, degrees)), np.exp(rng.uniform(-scale, scale))
        turn = factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        bend = rng.normal(0.0, displacement, size=(2, *(spline.shape[1] for spline in splines)))
        bent = splines[0] @ bend @ splines[1].T
        coordinates = np.tensordot(turn, grid, axes=1) + bent + np.array(centre)[:, None, None]
        for channel in range(inputs.shape[-1]):
            values = ndimage.map_coordinates(inputs[index, ..., channel], coordinates, order=1, mode="reflect")
            new_inputs[index, ..., channel] = values
        if _dense(labels):
            new_labels[index] = ndimage.map_coordinates(labels[index], coordinates, order=0, mode="reflect")
    return new_inputs, new_labels


@functools.cache
def _spline_matrix(size: int, spacing: int) -> np.ndarray:
    """(size, knots): the cubic spline through values on a grid of that spacing, at each of `size` pixels."""
    from scipy import ndimage

    knots = size // spacing + 3
    places = (np.arange(size) - (size - 1) / 2) / spacing + (knots - 1) / 2
    values = [ndimage.map_coordinates(row, places[None], order=3, mode="nearest") for row in np.eye(knots)]
    return np.stack(values, axis=1)


def intensity(inputs, labels, rng, contrast: float = 0.2, brightness: float = 0.2, noise: float = 0.05) -> Batch:
    """Changes contrast (relative) and brightness of each image, and adds noise, in units of the inputs."""
    shape = (len(inputs),) + (1,) * (inputs.ndim - 1)
    factor = np.exp(rng.uniform(-contrast, contrast, size=shape))
    offset = rng.uniform(-brightness, brightness, size=shape)
    values = inputs * factor + offset + rng.normal(0.0, noise, size=inputs.shape)
    return values.astype(np.float32), labels


def _dense(labels: np.ndarray) -> bool:
    """Whether labels have spatial axes, which move with the inputs."""
    return labels.ndim > 2


def _where(chosen: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    return np.where(chosen.reshape(-1, *(1,) * (old.ndim - 1)), new, old)


AUGMENTATIONS: dict[str, Any] = {
    function.__name__: function
    for function in (crop, cutout, elastic, flip, intensity, pad_and_crop, rotate, shift, symmetry)
}
