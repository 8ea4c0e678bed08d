"""PatchCamelyon (Veeling et al. 2018, arXiv 1806.03962): 327,680 patches of lymph node sections, 96 x 96 pixels.

The label says whether the 32 x 32 pixels in the middle have tumour tissue. The set, 7 GB, stays on disk: it is read
from the shards that `python -m training.prepare patch_camelyon --to FOLDER` writes with tensorflow-datasets' builder.
"""

from __future__ import annotations

from pathlib import Path

from training.datasets import Arrays, Info

SPLITS = ("train", "validation", "test")
INFO = Info(
    task="classification",
    classes=("normal", "tumour"),
    variants=("original",),
    source="PatchCamelyon, 262,144 patches to train, 32,768 to validate, 32,768 to test",
    licence="CC0 1.0",
)


def load(source: str | Path | None, variant: str, splits: tuple[str, ...]) -> Arrays:
    """Raises FileNotFoundError: shards are read by `datasets.load` itself, and there is nothing else to read."""
    raise FileNotFoundError(
        f"PatchCamelyon is read from shards, which {str(source)!r} has not: python -m training.prepare patch_camelyon "
        "--to FOLDER downloads it, writes them and says what to give as --data."
    )
