"""Writes docs/membranes.md and its picture: what the nets of the zoo make of a whole slice, and of the slice turned.

python -m docs.write_membranes --data FOLDER
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path

import numpy as np

import groco
from groco.groups import act, get_group
from training import datasets
from training.datasets.em_membrane import HELD_OUT

PAGE = Path(__file__).with_name("membranes.md")
PICTURE = PAGE.parent / "images" / "membranes.png"
NETS = ("p4m_unet.em", "unet.em")
WORDS = (
    "",
    "90°",
    "180°",
    "270°",
    "0°, mirrored",
    "90°, mirrored",
    "180°, mirrored",
    "270°, mirrored",
)  # in P4M's order

TEXT = """# Membranes, and membranes turned

<!-- Written by `python -m docs.write_membranes --data FOLDER`; do not edit. -->

The first of the six held-out slices, number {number} of the labelled ones, in one piece of 512 x 512 pixels. A map is
the probability of membrane at each pixel. Given below is how much a net's map of the turned slice differs from its map
of the slice, turned: the largest difference over all pixels, and the mean. The scores of the nets on all six slices are
in [results/em.md](results/em.md).

![A slice, its label, and the maps of two nets](images/membranes.png)

| the slice is turned by | {heads} |
|---|{rule}
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m docs.write_membranes", description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="where the EM membranes are")
    options = parser.parse_args()
    slices, labels = datasets.load("em_membrane", options.data, splits=("test",))["test"]
    maps = {name: [find_membranes(name, turn(slices[0], index)) for index in range(len(WORDS))] for name in NETS}
    errors = {
        name: [np.abs(found[index] - turn(found[0], index)) for index in range(len(WORDS))]
        for name, found in maps.items()
    }
    lines = [TEXT.format(number=HELD_OUT[0], heads=" | ".join(NETS), rule="---|" * len(NETS)).rstrip("\n")]
    for index in range(1, len(WORDS)):
        cells = [f"{errors[name][index].max():.1e}, mean {errors[name][index].mean():.1e}" for name in NETS]
        lines.append(f"| {WORDS[index]} | {' | '.join(cells)} |")
        print(lines[-1])
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    _draw(slices[0, ..., 0], labels[0], maps, errors)
    print(PAGE)


def turn(image: np.ndarray, index: int) -> np.ndarray:
    """An image (height, width, ...) turned by an element of P4M."""
    return act(get_group("P4M", 2), index, image, (0, 1))


def find_membranes(name: str, image: np.ndarray) -> np.ndarray:
    """The map (height, width) of a slice (height, width, 1) by a net of the zoo."""
    net, prepare = _loaded(name)
    return prepare.probabilities(net.predict(prepare(image[None]), verbose=0))[0, ..., 0]


@functools.cache
def _loaded(name: str):
    return groco.from_pretrained(name), groco.preprocessor(name)


def _draw(image: np.ndarray, label: np.ndarray, maps, errors) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8.4), layout="constrained")
    FigureCanvasAgg(figure)
    left = (("slice", image), ("label", 1 - label))
    for row, (title, values), name in zip(figure.subplots(2, 3), left, NETS, strict=True):
        row[0].imshow(values, cmap="gray", vmin=0)
        row[0].set_title(title)
        row[1].imshow(1 - maps[name][0], cmap="gray", vmin=0, vmax=1)
        row[1].set_title(f"{name}: map")
        change = row[2].imshow(errors[name][1], cmap="magma", vmin=0, vmax=0.5)
        row[2].set_title(f"{name}: change when turned by 90°")
        figure.colorbar(change, ax=row[2], shrink=0.8)
        for axis in row:
            axis.set_axis_off()
    figure.savefig(PICTURE, dpi=64)


if __name__ == "__main__":
    main()
