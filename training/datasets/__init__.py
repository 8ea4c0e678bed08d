"""Data sets as numpy arrays by name, for any backend; `*_builder.py` are their tensorflow-datasets builders."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.datasets import stored

DATASETS = ("cifar10", "em_membrane", "modelnet10", "patch_camelyon", "rotated_mnist")
Arrays = dict[str, tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Info:
    """What is known of a data set before it is read.

    Attributes:
        task: `"classification"` (labels are one number for each example) or `"segmentation"` (one for each point).
        classes: names of the classes; of the foreground in segmentation with one channel.
        variants: what `load` can be asked for; the first is the default.
        source: where it is from, as cards and manifest say it.
        licence: of the data.
    """

    task: str
    classes: tuple[str, ...]
    variants: tuple[str, ...]
    source: str
    licence: str


def info(name: str) -> Info:
    """What is known of a data set; raises ValueError if there is none of that name."""
    return _module(name).INFO


def check_variant(name: str, variant: str | None) -> str:
    """The variant, or the first if it is None; raises ValueError that names the data set's if it is none of them."""
    variants = info(name).variants
    if variant is not None and variant not in variants:
        raise ValueError(f"{name} has the variants {' and '.join(map(repr, variants))}, got {variant!r}.")
    return variant or variants[0]


def test_splits(name: str) -> tuple[str, ...]:
    """The splits of a data set that are not trained on."""
    return tuple(split for split in _module(name).SPLITS if split != "train")


def load(
    name: str, source: str | Path | None = None, variant: str | None = None, splits: tuple[str, ...] | None = None
) -> Arrays:
    """Inputs (n, *spatial, channels) uint8 and labels, (n,) or (n, *spatial), of each split.

    Args:
        name: one of `DATASETS`.
        source: the file or the folder of the data, or a folder that has it in a subfolder; None to download it where
            that is possible. From what `training.prepare` wrote, in the folder or below it, they are not read yet, but
            `stored.Stored`, which acts as an array.
        variant: one of the data set's variants, by default its first.
        splits: which splits; by default all.

    Raises:
        ValueError: if the name, the variant or a split is not known, or the files are not what they should be.
        FileNotFoundError: if the data is not there; the message says where to get it.
    """
    module, variant = _module(name), check_variant(name, variant)
    known = module.SPLITS
    splits = known if splits is None else tuple(splits)
    if unknown := sorted(set(splits) - set(known)):
        raise ValueError(f"{name} has the splits {', '.join(known)}, got {', '.join(unknown)}.")
    several = len(module.INFO.variants) > 1
    prepared = None if source is None else stored.find_prepared(source, name, variant if several else None)
    if prepared is not None:
        return stored.read(prepared, name, variant, splits)
    return module.load(source, variant, splits)


def _module(name: str):
    if name not in DATASETS:
        raise ValueError(f"There is no data set {name!r}; there are {', '.join(DATASETS)}.")
    return importlib.import_module(f"training.datasets.{name}")
