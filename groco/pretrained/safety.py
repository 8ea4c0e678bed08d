"""What files that nobody vouches for must not contain. Checked before Keras reads them."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np

from groco.pretrained.files import read_arrays
from groco.pretrained.manifest import PretrainedError

# Layers of Keras that carry or load code of whoever wrote the file.
CODE_LAYERS = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "__lambda__", "__typespec__")
MAX_GOLDEN_BYTES = 1 << 28
MAX_EXPANSION = 100  # of an array when it is read; Keras does not compress weights
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def check_config(path: Path) -> None:
    """Raises PretrainedError if a Keras config.json would run anything but layers of Keras and GroCo.

    Classes that this program has registered with Keras are allowed as well.
    """
    for entry in _tables(read_json(path)):
        name, module, registered = entry.get("class_name"), entry.get("module"), entry.get("registered_name")
        if name is None:
            continue
        if name in CODE_LAYERS:
            raise PretrainedError(f"{path} has a {name}, which runs code of whoever wrote the file; it is refused.")
        if isinstance(registered, str) and keras.saving.get_registered_object(registered) is not None:
            continue
        if isinstance(module, str) and module != "builtins" and module.split(".")[0] != "keras":
            raise PretrainedError(
                f"{path} uses {name!r} of the module {module!r}, which is not of Keras or GroCo; it is refused. "
                "If you wrote it, register it with keras.saving.register_keras_serializable first."
            )
        if isinstance(registered, str) and ">" in registered:
            raise PretrainedError(f"{path} has a {registered!r}, which is not registered here; it is refused.")


def check_weights(path: Path, model: keras.Model | None = None) -> int:
    """Checks that a file of weights is HDF5, does not point outside of itself, and does not swell when it is read.

    Args:
        path: the file.
        model: the model it is for; no array may be larger than its largest weight.

    Returns:
        How many numbers it holds.

    Raises:
        PretrainedError: that says what it has that is refused.
    """
    import h5py

    with path.open("rb") as file:
        beginning = file.read(len(HDF5_SIGNATURE))
    if beginning != HDF5_SIGNATURE:
        raise PretrainedError(f"{path} is not a file of weights (HDF5): it begins with {beginning!r}.")
    largest = max((math.prod(weight.shape) for weight in model.variables), default=0) if model is not None else None
    try:
        with h5py.File(path, "r") as file:
            total = 0
            for name, dataset in _datasets(file, path, set()):
                _check_dataset(dataset, f"{path}: {name}", largest)
                total += math.prod(dataset.shape)
            return total
    except PretrainedError:
        raise
    except Exception as error:  # whatever a damaged file makes h5py raise
        raise PretrainedError(f"{path} cannot be read as HDF5: {error}") from None


def check_size(build: Callable[[], keras.Model], path: Path, available: int) -> None:
    """Raises PretrainedError if a model has more weights than a file holds, before memory is taken for them.

    The model is drafted in a scope in which Keras does not make its variables; and in a thread of its own, since Keras
    would make them at the next opportunity in this one.
    """

    def draft() -> int:
        with keras.StatelessScope(initialize_variables=False):
            return sum(math.prod(weight.shape) for weight in build().weights)

    with ThreadPoolExecutor(1) as pool:
        needed = pool.submit(draft).result()
    if needed > available:
        raise PretrainedError(f"{path} does not fit: it holds {available:,} numbers, the model has {needed:,} weights.")


def _datasets(group: Any, path: Path, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """All datasets below a group; links that lead elsewhere, or to what was seen before, are refused, not followed."""
    import h5py

    for name in group:
        link = group.get(name, getlink=True)
        where = f"{group.name.rstrip('/')}/{name}"
        if not isinstance(link, h5py.HardLink):
            raise PretrainedError(f"{path}: {where} is a link to elsewhere ({type(link).__name__}); it is refused.")
        item = group[name]
        address = h5py.h5o.get_info(item.id).addr
        if address in seen or address == h5py.h5o.get_info(item.file.id).addr:
            raise PretrainedError(f"{path}: {where} is in the file twice; it is refused.")
        seen.add(address)
        if isinstance(item, h5py.Group):
            yield from _datasets(item, path, seen)
        elif isinstance(item, h5py.Dataset):
            yield where, item
        else:
            raise PretrainedError(f"{path}: {where} is neither a group nor an array; it is refused.")


def _check_dataset(dataset: Any, where: str, largest: int | None) -> None:
    if dataset.external or dataset.is_virtual:
        raise PretrainedError(f"{where} has its values in another file; it is refused.")
    if not (np.issubdtype(dataset.dtype, np.number) or dataset.dtype in (np.bool_, np.dtype("V2"))):
        raise PretrainedError(f"{where} holds values of type {dataset.dtype}, not numbers; it is refused.")
    if dataset.shape is None:
        raise PretrainedError(f"{where} is empty; it is refused.")
    size, stored = math.prod(dataset.shape) * dataset.dtype.itemsize, dataset.id.get_storage_size()
    if size > MAX_EXPANSION * max(stored, 1000):
        raise PretrainedError(f"{where} swells from {stored:,} to {size:,} bytes when it is read; it is refused.")
    if where.partition(": ")[2].startswith("/optimizer"):
        return  # not read: models are loaded without their optimizer
    if largest is not None and math.prod(dataset.shape) > largest:
        raise PretrainedError(
            f"{where} does not fit: its shape {dataset.shape} is larger than any weight of the model; it is refused."
        )


def read_golden(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images and outputs of a golden.npz; raises PretrainedError if it is not one."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_GOLDEN_BYTES:
            raise ValueError(f"it unpacks to {size:,} bytes, more than {MAX_GOLDEN_BYTES:,}")
        images, outputs = read_arrays(path, ("images", "outputs"))
        if len(images) != len(outputs) or len(images) == 0:
            raise ValueError(f"it has {len(images)} images and {len(outputs)} outputs")
        return images, outputs
    except Exception as error:  # whatever a damaged file makes zipfile raise
        raise PretrainedError(f"{path} has no golden images and outputs: {error}") from None


def read_json(path: Path) -> Any:
    """The content of a file of JSON; raises PretrainedError if it is not one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PretrainedError(f"{path} cannot be read: {error}") from None


def _tables(content: Any) -> Iterator[dict[str, Any]]:
    """All tables in a content of JSON, at any depth."""
    todo = [content]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            yield item
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
