"""Pictures of what a group net computes. Needs matplotlib (`pip install groco[plot]`)."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from groco.groups import Group, GroupLike, act, get_group


def signal_layers(model: keras.Model) -> dict[str, Group]:
    """The layers of a functional model that write signals on a group, in their order, each with its group."""
    groups: dict[int, Group] = {}
    found: dict[str, Group] = {}
    for layer in model.layers:
        output = layer.output
        group = getattr(layer, "subgroup", None)
        if group is None:  # one of Keras' own: it leaves a signal one on the same group
            group = next((groups[id(x)] for x in keras.tree.flatten(layer.input) if id(x) in groups), None)
        if (
            group is not None
            and keras.backend.is_keras_tensor(output)
            and len(output.shape) == group.ndim + 3
            and output.shape[-2] == group.order
        ):
            groups[id(output)] = found[layer.name] = group
    return found


def plot_feature_maps(
    model: keras.Model,
    image,
    layer: str,
    path: str | Path,
    *,
    group: GroupLike = "P4",
    channel: int | None = None,
    picture=None,
) -> None:
    """Draws an image under every element of a group beside the feature maps of one layer, and saves the figure.

    There is a row for each element and a column for each orientation. In an equivariant net the maps of a row are
    those of the first row, turned with the image and moved to other columns.

    Args:
        model: a 2-D group net.
        image: one prepared image (height, width, channels).
        layer: name of a layer that writes signals on the group, (batch, height, width, |group|, channels).
        path: the file to write; its suffix says the format.
        group: the group that turns the image, and on which the layer writes.
        channel: the feature map to draw; by default the one that varies most.
        picture: what to draw as the image, (height, width), or (height, width, 3) in colour; by default the first
            channel of `image`.

    Raises:
        ValueError: if the model has no such layer or channel, or the layer does not write signals on the group, or the
            net does not take the image when it is turned.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    group = get_group(group, 2)
    image = np.asarray(image)
    features = keras.Model(model.input, model.get_layer(layer).output)
    shape = features.output_shape
    if len(shape) != 5 or shape[3] != group.order:
        raise ValueError(f"The layer {layer!r} has output {shape}, not a signal on {group.name!r} with {group.order}.")
    if image.shape[0] != image.shape[1] and len(group.axis_orbits) == 1:
        raise ValueError(
            f"{group.name!r} exchanges height and width; the image must be square, got {image.shape[0]} x "
            f"{image.shape[1]}."
        )
    turned = np.stack([act(group, g, image, (0, 1)) for g in range(group.order)])
    maps = keras.ops.convert_to_numpy(features(turned))
    if channel is None:
        channel = int(maps[0].std(axis=(0, 1, 2)).argmax())
    if not 0 <= channel < maps.shape[-1]:
        raise ValueError(f"The layer {layer!r} has channels 0 to {maps.shape[-1] - 1}, got {channel}.")
    maps = maps[..., channel]
    shown = image[..., 0] if picture is None else np.asarray(picture)

    rows, columns = group.order, group.order + 1
    figure = Figure(figsize=(1.5 * columns, 1.5 * rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for row in range(rows):
        axes[row, 0].imshow(act(group, row, shown, (0, 1)), cmap="gray")
        axes[row, 0].set_ylabel(_label(group, row), rotation=0, ha="right", va="center")
        for column in range(group.order):
            axes[row, column + 1].imshow(maps[row, :, :, column], cmap="viridis", vmin=maps.min(), vmax=maps.max())
    for column in range(group.order):
        axes[0, column + 1].set_title(f"{group.element_names[column]}")
    axes[0, 0].set_title("input")
    for axis in axes.ravel():
        axis.set_xticks([])
        axis.set_yticks([])
    figure.suptitle(f"{model.name}, layer {layer}, channel {channel}: its maps for each element of {group.name}")
    figure.savefig(path, dpi=100)


def _label(group, element: int) -> str:
    matrix = group.matrices[element]
    if np.linalg.det(matrix) > 0:
        turns = int(np.flatnonzero([np.array_equal(np.linalg.matrix_power(_TURN, k), matrix) for k in range(4)])[0])
        return f"{90 * turns}°"
    return group.element_names[element]


_TURN = np.array([[0, -1], [1, 0]])
