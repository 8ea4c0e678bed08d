"""Data sets larger than memory: examples that tensorflow-datasets has written in shards, read when they are asked for.

They are files of array_record, which are read at any place and without TensorFlow, so that every backend trains on the
same batches in the same order as from arrays in memory. `python -m training.prepare` writes them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from groco._errors import one_line

AT_ONCE = 256  # records that are read together: each has its other features with it


class Stored:
    """One feature of the examples of a split, which acts as an array (n, ...) whose rows lie on disk.

    A slice of it is one again; an array of indices, or numpy.asarray, reads.

    Args:
        source: random access to records, as tensorflow-datasets' data sources give.
        feature: name of the feature.
        shape, dtype: of one example.
        folder: of the records.
    """

    def __init__(self, source, feature: str, shape: tuple[int, ...], dtype, folder: str | Path = "the data"):
        self.folder = folder
        self.source, self.feature, self.dtype = source, feature, np.dtype(dtype)
        self.indices: Sequence[int] = range(len(source))
        self.shape_of_one = shape
        self.change: Callable[[np.ndarray], np.ndarray] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.indices), *self.shape_of_one)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, chosen):
        if isinstance(chosen, slice):
            part = copy.copy(self)
            part.indices = self.indices[chosen]
            return part
        array = np.empty((len(chosen), *self.shape_of_one), self.dtype)
        for start in range(0, len(chosen), AT_ONCE):
            part = [self.indices[i] for i in chosen[start : start + AT_ONCE]]
            try:
                records = self.source.__getitems__(part)
            except Exception as error:  # whatever damaged files make array_record raise
                raise ValueError(f"{self.folder} cannot be read ({one_line(error)}).") from None
            for index, record in enumerate(records, start):
                array[index] = record[self.feature]
        return array if self.change is None else self.change(array)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.asarray(self[range(len(self))], dtype)

    def changed(self, change: Callable[[np.ndarray], np.ndarray]) -> Stored:
        """With a function of arrays (n, ...) applied to all that is read."""
        part = copy.copy(self)
        part.change = change
        return part

    def part(self, chosen) -> Stored:
        """The rows of an array of indices, not read yet."""
        part = copy.copy(self)
        part.indices = [self.indices[i] for i in chosen]
        return part

    def sample(self, number: int) -> np.ndarray:
        """So many examples, evenly spaced, or all if there are fewer."""
        return np.asarray(self[:: -(-len(self) // number)])


def is_prepared(folder: str | Path) -> bool:
    """Whether a folder is one that `training.prepare` wrote."""
    return (Path(folder) / "dataset_info.json").is_file()


def find_prepared(source: str | Path, name: str, variant: str | None) -> Path | None:
    """The folder of a data set (and of its variant, if it has several) that `training.prepare` wrote: that or below."""
    source = Path(source)
    if is_prepared(source):
        return source
    found = []
    for depth in (1, 2, 3):  # NAME/VARIANT/VERSION, as tensorflow-datasets lays them out
        for file in source.glob("*/" * depth + "dataset_info.json"):
            parts = [source.resolve().name, *file.relative_to(source).parts]
            if name.replace("_", "") in [part.replace("_", "") for part in parts] and variant in (None, *parts):
                found.append(file.parent)
    return max(found, default=None)  # the last version


def read(folder: str | Path, name: str, variant: str, splits: tuple[str, ...]) -> dict[str, tuple[Stored, Stored]]:
    """Inputs and labels of splits of a prepared data set.

    Raises:
        ValueError: if it is another data set or another variant of it, is not in the format array_record, or has not
            all splits.
    """
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(folder)
    known, there = builder.info.features, builder.info.splits
    if builder.info.name.replace("_", "") != name.replace("_", ""):
        raise ValueError(f"{str(folder)!r} has the data set {builder.info.name}, not {name}.")
    written = builder.info.config_name
    if written and written != variant:
        raise ValueError(
            f"{str(folder)!r} has the variant {written!r} of {name}, not {variant!r}; a run asks for it with "
            f"--set dataset_args.variant={written}."
        )
    if missing := [split for split in splits if split not in there]:
        raise ValueError(f"{str(folder)!r} has no {', '.join(missing)}; it has {', '.join(there)}.")
    if builder.info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
        raise ValueError(
            f"{str(folder)!r} is in the format {builder.info.file_format.value}, which has no random access; "
            "python -m training.prepare writes array_record."
        )

    def feature(split: str, key: str) -> Stored:
        others = {other: tfds.decode.SkipDecoding() for other in known if other != key}
        return Stored(
            builder.as_data_source(split, decoders=others), key, known[key].shape, known[key].np_dtype, folder
        )

    inputs, labels = builder.info.supervised_keys
    return {split: (feature(split, inputs), feature(split, labels)) for split in splits}
