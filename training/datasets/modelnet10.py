"""ModelNet10 (Wu et al. 2015) as volumes of 32 x 32 x 32 binary voxels, in the official split.

Some grids are empty, because thin and open parts drop out when a mesh becomes voxels: they are left out, and it is said
how many. Some test grids equal a training grid; they stay, as in the official split. The split `test_rotated` has
each test object once, turned by one of the 24 rotations of the cube, drawn with a fixed seed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from groco.groups import act, get_group
from training.datasets import Arrays, Info
from training.datasets.files import find, read_npz

SPLITS = ("train", "test", "test_rotated")
FILE = "modelnet10_32.npz"
CLASSES = (
    "bathtub", "bed", "chair", "desk", "dresser", "monitor", "night_stand", "sofa", "table", "toilet",
)  # fmt: skip
ROTATION_SEED = 2015
OFFICIAL = {"train": 3991, "test": 908}  # sizes of the split
EMPTY = {"train": 27, "test": 7}  # of these, in the file that results and weights were made with
LEFT_OUT = ", ".join(f"{EMPTY[part]} of {OFFICIAL[part]:,} for {part}ing" for part in OFFICIAL)
REPEATED = 62  # test grids, none of them empty, that equal a training grid
INFO = Info(
    task="classification",
    classes=CLASSES,
    variants=("voxels32",),
    source=f"ModelNet10 (Princeton), official split, as 32 x 32 x 32 voxels, without the empty grids ({LEFT_OUT})",
    licence="ModelNet: for academic research",
)
_HINT = (
    f"Give the folder of {FILE}: x_train (3991, 4096) and x_test (908, 4096) uint8, bits of 32 x 32 x 32 voxels, and "
    "y_train, y_test."
)


def load(source: str | Path | None, variant: str, splits: tuple[str, ...]) -> Arrays:
    """Volumes (n, 32, 32, 32, 1) uint8 of 0 and 1, and labels (n,) uint8."""
    if source is None:
        raise FileNotFoundError(f"The voxels of ModelNet10 are not downloaded. {_HINT}")
    (path,) = find(source, [FILE], "ModelNet10", _HINT)
    shapes: dict[str, tuple[int | None, ...]] = {
        "x_train": (None, 4096), "y_train": (None,), "x_test": (None, 4096), "y_test": (None,),
    }  # fmt: skip
    arrays = read_npz(path, shapes, "ModelNet10")
    loaded, left_out = {}, {}
    for split in splits:
        part = split.split("_")[0]
        packed, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if len(packed) != len(labels):
            raise ValueError(f"{str(path)!r}: {len(packed)} volumes of {part} do not go with the {len(labels)} labels.")
        full = packed.any(axis=1)
        if not full.any():
            raise ValueError(f"{str(path)!r} has no volumes of {part} that are not empty.")
        if labels.max() >= len(CLASSES):
            raise ValueError(f"{str(path)!r}: labels of {part} are 0 to {len(CLASSES) - 1}, got {labels.max()}.")
        volumes = np.unpackbits(packed[full], axis=1).reshape(-1, 32, 32, 32, 1)
        loaded[split] = (rotate(volumes) if split.endswith("rotated") else volumes, labels[full])
        left_out[part] = f"{(~full).sum()} of the {len(full):,} of {part}"
    print(f"training: ModelNet10: empty grids are left out, {' and '.join(left_out.values())}", file=sys.stderr)
    return loaded


def rotate(volumes: np.ndarray, seed: int = ROTATION_SEED) -> np.ndarray:
    """Turns each volume (n, d, d, d, channels) by one of the 24 rotations of the cube, drawn uniformly."""
    group = get_group("O", 3)
    elements = np.random.RandomState(seed).randint(group.order, size=len(volumes))  # its streams are frozen for good
    return np.stack([act(group, int(g), volume, (0, 1, 2)) for g, volume in zip(elements, volumes, strict=True)])
