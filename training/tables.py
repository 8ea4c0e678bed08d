"""The tables that `training.reproduce` makes: which runs they need, and what of them they show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from training.datasets import modelnet10


@dataclass(frozen=True)
class Row:
    """One line: the runs of a config, with changes, over some seeds.

    Attributes:
        label: what the line is called.
        config: name of the config.
        seeds: how many, from 0.
        changes: `key=value`, as on the command line of `training.train`.
        published: the figure of the paper for each score that has one, in words: `"2.28 ± 0.04"`.
        group: lines of one group are one curve of the table's plot.
        x: where the line stands on the horizontal axis of the plot.
    """

    label: str
    config: str
    seeds: int
    changes: tuple[str, ...] = ()
    published: dict[str, str] = field(default_factory=dict)
    group: str = ""
    x: float | None = None


@dataclass(frozen=True)
class Table:
    """A table of the docs.

    Attributes:
        title: its heading.
        note: what must be known to read it: the data, and how it differs from the paper's.
        scores: keys of the results, with their headings; as percentages.
        rows: its lines.
        plot: the score that is drawn, and the label of the horizontal axis; None for no plot.
    """

    title: str
    note: str
    scores: dict[str, str]
    rows: tuple[Row, ...]
    plot: tuple[str, str] | None = None


_ERROR = {"test_error": "test error %"}
_COHEN = "Cohen & Welling 2016"
_LENGYEL = "Lengyel & van Gemert 2021"
_DIGITS = (
    "12,000 digits of rotated MNIST to train on and 50,000 to test, regenerated from MNIST because seed and "
    "interpolation of the original set are not known. The published figures (Cohen & Welling 2016, arXiv 1602.07576; "
    "Lengyel & van Gemert 2021, arXiv 2106.04914) are on the original set: comparable, not identical."
)


# Digits drawn in each of the 20 epochs, by the number of digits to draw from: fewer are learnt sooner.
_DRAWN = {100: 4000, 300: 5000, 1000: 6000, 3000: 8000, 12000: 12000}
_SAMPLE_SEEDS = 3
# Windows cut in each of the 40 epochs, by the number of slices to cut from, likewise; of all slices as the config says.
_WINDOWS = {1: 32, 4: 48, 12: 64, 24: None}


def _published(error: str, source: str) -> dict[str, str]:
    return {"test_error": f"{error} ({source})"}


def _sample_sizes() -> tuple[Row, ...]:
    nets: dict[str, tuple[str, tuple[str, ...]]] = {
        "p4cnn": ("p4cnn_short_rotmnist", ()),
        "p4cnn, turned by any angle while it trains": ("p4cnn_short_rotmnist", ("augment=[['rotate', {}]]",)),
        "z2cnn": ("z2cnn_short_rotmnist", ()),
        "z2cnn, turned by any angle while it trains": ("z2cnn_short_rotmnist", ("augment=[['rotate', {}]]",)),
    }
    return tuple(
        Row(
            f"{net}, {examples:,} digits",
            config,
            _SAMPLE_SEEDS,
            (*changes, f"train_examples={examples}", f"examples_per_epoch={drawn}"),
            group=net,
            x=examples,
        )
        for net, (config, changes) in nets.items()
        for examples, drawn in _DRAWN.items()
    )


def _slices() -> tuple[Row, ...]:
    return tuple(
        Row(
            f"{net}, {slices} slice{'s' * (slices > 1)}",
            f"{net}_em",
            1,
            () if windows is None else (f"train_examples={slices}", f"examples_per_epoch={windows}"),
            group=net,
            x=slices,
        )
        for net in ("unet", "p4_unet", "p4m_unet")
        for slices, windows in _WINDOWS.items()
    )


TABLES: dict[str, Table] = {
    "rotmnist": Table(
        "Rotated MNIST",
        f"{_DIGITS} The separable nets have the recipe of their authors, the others that of Cohen & Welling.",
        _ERROR,
        (
            Row("z2cnn", "z2cnn_rotmnist", 3, published=_published("5.03 ± 0.20", _COHEN)),
            Row("p4cnn_rp", "p4cnn_rp_rotmnist", 3, published=_published("3.21 ± 0.12", _COHEN)),
            Row("p4cnn", "p4cnn_rotmnist", 5, published=_published("2.28 ± 0.04", _COHEN)),
            Row("p4cnn, g-separable", "p4cnn_g_rotmnist", 3, published=_published("1.97", _LENGYEL)),
            Row("p4cnn, gc-separable", "p4cnn_gc_rotmnist", 3, published=_published("1.74 ± 0.07", _LENGYEL)),
            Row("p4mcnn", "p4mcnn_rotmnist", 3),
            Row("p4cnn of 20 channels, turned by any angle while it trains", "p4cnn_wide_rotmnist", 1),
        ),
    ),
    "rotmnist_samples": Table(
        "Rotated MNIST: error against the number of training digits",
        f"{_DIGITS} Each run is 20 epochs of a short recipe, Adam 1e-2 to 0; an "
        "epoch is 4,000 (of 100 digits) to 12,000 (of 12,000), drawn again and again from those that the net may see. "
        "With the longer recipe of the paper z2cnn errs less on all 12,000: see Rotated MNIST.",
        _ERROR,
        _sample_sizes(),
        ("test_error", "training digits"),
    ),
    "em": Table(
        "Membranes in electron micrographs",
        "ISBI 2012: of the 30 labelled slices of 512 x 512 pixels, 24 to train on and 6 held out. The figures of the "
        "challenge are on slices whose labels are not public, so none stand beside these. Each run is 40 epochs; an "
        "epoch is 32 windows (of 1 slice) to 96 (of 24), the same number for the three nets.",
        {
            "test_pixel_error": "pixel error %",
            "test_dice": "Dice %",
            "test_auc": "AUC %",
            "test_rand": "Rand score %",
        },
        _slices(),
        ("test_pixel_error", "training slices"),
    ),
    "modelnet10": Table(
        "ModelNet10 voxels",
        f"Volumes of 32 x 32 x 32 voxels, official split without the empty grids ({modelnet10.LEFT_OUT}); "
        f"{modelnet10.REPEATED} of the test volumes equal one for training. Trained on upright objects, unless the "
        "line says otherwise, and tested on the same test objects upright and each turned by one of the 24 rotations "
        "of the cube.",
        {"test_accuracy": "upright: accuracy %", "test_rotated_accuracy": "turned: accuracy %"},
        (
            Row("o_resnet3d", "o_resnet3d_modelnet10", 1),
            Row("resnet3d", "resnet3d_modelnet10", 1),
            Row(
                "resnet3d, turned at random while it trains",
                "resnet3d_modelnet10",
                1,
                ("augment=[['symmetry', {'group': 'O'}]]",),
            ),
        ),
    ),
    "cifar10": Table(
        "CIFAR-10",
        "All 50,000 training and 10,000 test images; 60 epochs of a short recipe. The paper's figures (Cohen & Welling "
        "2016, arXiv 1602.07576, single runs) are of its own recipe, preprocessing and depth.",
        _ERROR,
        (
            Row("resnet20", "resnet20_cifar10", 1),
            Row("p4m_resnet20", "p4m_resnet20_cifar10", 1),
            Row("resnet44", "resnet44_cifar10", 1, published=_published("5.61, resnet44 on CIFAR10+", _COHEN)),
            Row("p4m_resnet44", "p4m_resnet44_cifar10", 1, published=_published("4.94, on CIFAR10+", _COHEN)),
        ),
    ),
}


def needed(table: Table) -> list[tuple[Row, int]]:
    """Every run of a table: its line and its seed."""
    return [(row, seed) for row in table.rows for seed in range(row.seeds)]


def figures(results: list[dict[str, Any]], score: str) -> list[float]:
    """A score of several results, as percentages; an accuracy is what the error leaves."""
    if score.endswith("accuracy"):
        return [100 - error for error in figures(results, score.replace("accuracy", "error"))]
    return [100 * result[score] for result in results if score in result]
