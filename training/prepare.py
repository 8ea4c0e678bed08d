"""Writes a data set in shards, to be read batch by batch: python -m training.prepare NAME --to FOLDER [--shards N]."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import shutil
import sys
from pathlib import Path

from training import datasets

BUILDERS = {
    "em_membrane": ("training.datasets.em_membrane_builder", "em_membrane"),
    "modelnet10": ("training.datasets.modelnet10_builder", "model_net10"),
    "rotated_mnist": ("training.datasets.rotated_mnist_builder", "rotated_mnist"),
    "cifar10": (None, "cifar10"),  # tensorflow-datasets has these itself
    "patch_camelyon": (None, "patch_camelyon"),
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.prepare", description=__doc__.splitlines()[0])
    parser.add_argument("name", help=f"one of {', '.join(BUILDERS)}, the last two are downloaded")
    parser.add_argument("--data", help="folder of the files the data set is made from")
    parser.add_argument("--to", required=True, help="folder to write to")
    parser.add_argument("--variant", help="of the data set, where it has several (default: its first)")
    parser.add_argument("--shards", type=int, help="of each split (default: by its size)")
    options = parser.parse_args(arguments)
    try:
        folder = prepare(options.name, options.to, options.data, options.shards, options.variant)
    except (ValueError, OSError, ImportError, AssertionError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    print(f"{options.name} is in {folder}: give it as --data")
    return 0


def prepare(
    name: str,
    to: str | Path,
    data: str | Path | None = None,
    shards: int | None = None,
    variant: str | None = None,
) -> Path:
    """Writes the shards, unless they are there; returns their folder.

    Raises:
        FileNotFoundError: if `data` is no folder.
        ValueError: if there is no data set or variant of that name, or the number of shards is not positive.
        ImportError: if tensorflow-datasets, or TensorFlow, which it writes with, is missing.
    """
    if name not in BUILDERS:
        raise ValueError(f"There is no builder of {name!r}; there are {', '.join(BUILDERS)}.")
    if shards is not None and shards < 1:
        raise ValueError(f"--shards is positive, got {shards}.")
    if data is not None and not Path(data).is_dir():
        raise FileNotFoundError(f"There is no folder {str(data)!r} with the files of {name}.")
    variant = datasets.check_variant(name, variant)
    import tensorflow_datasets as tfds

    module, registered = BUILDERS[name]
    if module:
        importlib.import_module(module)
    if len(datasets.info(name).variants) > 1:
        registered = f"{registered}/{variant}"
    mine = Path(to) / registered.partition("/")[0]
    is_new, makes_folder = not mine.exists(), not Path(to).exists()
    builder = tfds.builder(registered, data_dir=to, file_format="array_record")
    if Path(builder.data_dir).exists():
        what = "" if shards is None else f", and --shards {shards} changes nothing"
        print(f"training: {name} was there already{what}; remove its folder to write it anew", file=sys.stderr)
    try:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir=None if data is None else str(Path(data).resolve()), num_shards=shards
            )
        )
    except BaseException:
        if is_new:
            shutil.rmtree(mine, ignore_errors=True)
        if makes_folder:
            for empty in ("downloads/extracted", "downloads", "."):
                with contextlib.suppress(OSError):  # what was downloaded stays
                    (Path(to) / empty).resolve().rmdir()
        raise
    return Path(builder.data_dir)


if __name__ == "__main__":
    sys.exit(main())
