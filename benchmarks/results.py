"""Results as CSV, each row with the machine and the versions it was measured with."""

from __future__ import annotations

import csv
import functools
import importlib
import platform
from pathlib import Path
from typing import Any

import keras

import groco
from groco._hardware import cores, instructions

FOLDER = Path(__file__).parent / "results"
GPU = "-gpu"
ENGINES = tuple(backend + where for where in ("", GPU) for backend in ("tensorflow", "jax", "torch"))  # see `engine`


def write(name: str, rows: list[dict[str, Any]], folder: Path = FOLDER, keep: bool = False) -> Path:
    """Writes rows with the same keys; what was there before is replaced, or with `keep` only the same cases of it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.csv"
    table: dict[str, list[dict[str, Any]]] = {}
    for row in read(name, folder) if keep else []:
        table.setdefault(row["case"], []).append(row)
    table |= {row["case"]: [] for row in rows}
    for row in rows:
        table[row["case"]].append({**row, **environment()})
    new = path.with_suffix(".csv.new")
    with new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[0], *environment()], extrasaction="ignore")  # of older versions
        writer.writeheader()
        for case in table.values():
            writer.writerows(case)
    new.replace(path)
    return path


def read(name: str, folder: Path = FOLDER) -> list[dict[str, str]]:
    """The rows of a file, none where there is no such file yet."""
    path = folder / f"{name}.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@functools.cache
def environment() -> dict[str, str]:
    backend = keras.backend.backend()
    return {
        "device": _gpu() or _processor(),
        "cores": str(cores()),
        "backend": backend,
        "backend_version": importlib.import_module(backend).__version__,
        "keras": keras.__version__,
        "groco": groco.__version__,
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name, known = names[0] if names else platform.machine(), instructions()
    return f"{name} with {' and '.join(known)}" if known else name


def _gpu() -> str | None:
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else None
    if backend == "jax":
        import jax

        device = jax.devices()[0]
        return None if device.platform == "cpu" else device.device_kind
    import tensorflow as tf

    devices = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(devices[0]).get("device_name", "GPU") if devices else None


def on_gpu() -> bool:
    return _gpu() is not None


def engine() -> str:
    """The backend, and whether it computes on a GPU: each has results of its own, `jax` and `jax-gpu`."""
    return keras.backend.backend() + (GPU if on_gpu() else "")
