"""Times the dense and the Fourier implementation of group convolutions side by side.

    KERAS_BACKEND=tensorflow python -m benchmarks.implementations [--group P4M] [--kernel 3] [--width 96]

It runs on the backend of KERAS_BACKEND and replaces the rows that it measures in benchmarks/results; the page is then
written by `python docs/write_implementations.py`. Both implementations of one shape are timed in turns, so that their
ratio stands where the machine is shared, after a warm-up; times are medians. On a crowded machine the ratio of
processor time, `cpu_ratio`, says more than that of the clock. In "forward+backward" the outputs are computed as well as
the gradients by the inputs and all weights.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np

from groco.groups import get_group
from groco.layers import GroupConv2D, GroupConv3D

RESULTS = Path(__file__).parent / "results" / "implementations.csv"
# Name of the group, dimension, batch, and points along each axis of the grid.
GROUPS = {"P4": (2, 64, 8), "P4M": (2, 64, 8), "O": (3, 8, 4), "Oh": (3, 8, 4)}
KERNELS = (1, 3)
WIDTHS = (8, 16, 32, 48, 64, 96, 128, 192, 256)
PASSES = ("forward", "forward+backward")
LIMIT = 25e9  # multiplications of the dense convolution; what needs more is left out
SECONDS = 2.0  # for the rounds of one shape and pass
ROUNDS = (3, 31)  # at least and at most
COLUMNS = (
    *("backend", "group", "kernel", "width", "batch", "size", "pass"),
    *("dense_ms", "fourier_ms", "ratio", "cpu_ratio", "versions", "machine"),
)
KEY = COLUMNS[:7]


def measure(group: str, kernel: int, width: int) -> Iterator[dict]:
    """One row of the table for each pass; none where the dense convolution is too large."""
    ndim, batch, size = GROUPS[group]
    order = get_group(group, ndim).order
    points = size**ndim
    if batch * points * kernel**ndim * (order * width) ** 2 > LIMIT:
        return
    backend = keras.backend.backend()
    signal = np.random.default_rng(0).normal(size=(batch, *(size,) * ndim, order, width)).astype("float32")
    layers = {}
    for implementation in ("dense", "fourier"):
        conv = GroupConv2D if ndim == 2 else GroupConv3D
        layers[implementation] = conv(width, kernel, padding="same", group=group, implementation=implementation)
        layers[implementation].build(signal.shape)
    for name in PASSES:
        runs = {key: compiled(layer, signal, backward=name != "forward") for key, layer in layers.items()}
        times = interleaved(runs)
        (dense, dense_cpu), (fourier, fourier_cpu) = times["dense"], times["fourier"]
        yield {
            "backend": backend,
            "group": group,
            "kernel": kernel,
            "width": width,
            "batch": batch,
            "size": size,
            "pass": name,
            "dense_ms": round(dense, 2),
            "fourier_ms": round(fourier, 2),
            "ratio": round(fourier / dense, 3),
            "cpu_ratio": round(fourier_cpu / dense_cpu, 3),
            "versions": f"keras {keras.version()}, {backend} {_backend_version(backend)}",
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        }


def interleaved(runs: dict[str, Callable[[], object]]) -> dict[str, tuple[float, float]]:
    """The median milliseconds of each function, run in turns: on the clock, and of the process on all processors."""
    times: dict[str, list[tuple[float, float]]] = {key: [] for key in runs}
    for run in runs.values():
        run()
        run()
    start = time.perf_counter()
    for round_ in range(ROUNDS[1]):
        if round_ >= ROUNDS[0] and time.perf_counter() - start > SECONDS:
            break
        for key, run in runs.items():
            before = time.perf_counter(), time.process_time()
            run()
            times[key].append((1e3 * (time.perf_counter() - before[0]), 1e3 * (time.process_time() - before[1])))
    return {key: tuple(map(statistics.median, zip(*values, strict=True))) for key, values in times.items()}


def compiled(layer, signal: np.ndarray, backward: bool) -> Callable[[], object]:
    """A function without arguments that runs the layer, compiled where the backend does so, and waits for the end."""
    gradient = np.random.default_rng(1).normal(size=layer.compute_output_shape(signal.shape)).astype("float32")
    return {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()](
        layer, signal, gradient, backward
    )


def _tensorflow(layer, signal, gradient, backward: bool):
    import tensorflow as tf

    signal, gradient = tf.constant(signal), tf.constant(gradient)

    @tf.function
    def run(signal, gradient):
        if not backward:
            return layer(signal)
        with tf.GradientTape() as tape:
            tape.watch(signal)
            outputs = layer(signal)
        weights = [weight.value for weight in layer.trainable_weights]
        return outputs, tape.gradient(outputs, [signal, *weights], output_gradients=gradient)

    return lambda: run(signal, gradient)


def _jax(layer, signal, gradient, backward: bool):
    import jax

    def forward(weights, signal):
        return layer.stateless_call(weights, [], signal)[0]

    def both(weights, signal, gradient):
        outputs, pull_back = jax.vjp(forward, weights, signal)
        return outputs, pull_back(gradient)

    weights = [weight.value for weight in layer.trainable_weights]
    arguments = jax.device_put((weights, signal, gradient)) if backward else jax.device_put((weights, signal))
    run = jax.jit(both if backward else forward)
    return lambda: jax.block_until_ready(run(*arguments))


def _torch(layer, signal, gradient, backward: bool):
    import torch

    signal, gradient = (keras.ops.convert_to_tensor(array) for array in (signal, gradient))
    weights = [weight.value for weight in layer.trainable_weights]

    def run():
        if backward:
            outputs = layer(signal.requires_grad_())
            result = torch.autograd.grad(outputs, [signal, *weights], gradient)
        else:
            with torch.no_grad():
                result = layer(signal)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return result

    return run


def _backend_version(backend: str) -> str:
    return __import__(backend).__version__


def read() -> list[dict[str, str]]:
    """The rows that were measured so far."""
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="") as file:
        return list(csv.DictReader(file))


def write(rows: list[dict]) -> None:
    """Replaces the rows of the same shapes, and keeps the others."""
    table = {tuple(str(row[column]) for column in KEY): row for row in [*read(), *rows]}
    groups, backends = list(GROUPS), ["tensorflow", "jax", "torch"]

    def place(key):
        backend, group, kernel, width, *rest = key
        return (backends.index(backend), groups.index(group), int(kernel), int(width), *rest)

    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table[key] for key in sorted(table, key=place))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--group", choices=GROUPS, action="append", help="default: all")
    parser.add_argument("--kernel", type=int, choices=KERNELS, action="append", help="default: all")
    parser.add_argument("--width", type=int, action="append", help="channels per element of the group; default: many")
    options = parser.parse_args(arguments)
    for case in itertools.product(options.group or GROUPS, options.kernel or KERNELS, options.width or WIDTHS):
        for row in measure(*case):
            print(*(row[column] for column in COLUMNS[:11]), flush=True)
            write([row])


if __name__ == "__main__":
    main()
