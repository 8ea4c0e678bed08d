"""Membranes in electron micrographs: 30 labelled slices of 512 x 512 pixels, of the ISBI 2012 challenge.

The slices follow each other through a piece of the ventral nerve cord of a fruit fly (Cardona et al. 2010; challenge:
Arganda-Carreras et al. 2015). The labels of the challenge's own test slices are not public, so the last six of the
labelled ones are held out: a run of neighbours, of which only one lies beside a slice that may be trained on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from training.datasets import Arrays, Info
from training.datasets.files import find, read_npz

SPLITS = ("train", "test")
FILE = "em_membrane.npz"
HELD_OUT = (24, 25, 26, 27, 28, 29)
# The first n of these are the training slices of a run with n: as far from each other as they can be.
TRAIN_ORDER = (12, 0, 23, 6, 18, 3, 9, 15, 21, 1, 4, 7, 10, 13, 16, 19, 22, 2, 5, 8, 11, 14, 17, 20)
INFO = Info(
    task="segmentation",
    classes=("membrane",),
    variants=("isbi2012",),
    source="ISBI 2012 EM segmentation challenge, labelled slices; trained on 0-23, tested on 24-29",
    licence="challenge data, free for research with citation",
)
_HINT = f"Give the folder of {FILE}: x_train, y_train (30, 512, 512) uint8, labels 0 on membranes and 255 inside cells."


def load(source: str | Path | None, variant: str, splits: tuple[str, ...]) -> Arrays:
    """Slices (n, 512, 512, 1) uint8, and labels (n, 512, 512) uint8 that are 1 on membranes.

    The training slices come in `TRAIN_ORDER`.
    """
    if source is None:
        raise FileNotFoundError(f"The EM membranes are not downloaded. {_HINT}")
    (path,) = find(source, [FILE], "the EM membranes", _HINT)
    arrays = read_npz(path, {"x_train": (30, 512, 512), "y_train": (30, 512, 512)}, "the EM membranes")
    slices, labels = arrays["x_train"][..., None], arrays["y_train"]
    if not np.isin(labels, (0, 255)).all():
        raise ValueError(f"{str(path)!r}: the labels are 0 and 255, got {np.unique(labels)[:10].tolist()}.")
    membranes = (labels == 0).astype(np.uint8)
    chosen = {"train": list(TRAIN_ORDER), "test": list(HELD_OUT)}
    return {split: (slices[chosen[split]], membranes[chosen[split]]) for split in splits}
