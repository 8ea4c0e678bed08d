"""Times of several functions, taken in turns in one process, so that what slows the machine slows them all."""

from __future__ import annotations

import functools
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np

from benchmarks.results import on_gpu

FORWARD, BOTH = "forward", "forward+backward"


@dataclass(frozen=True)
class Time:
    """Median time of a function, and its ratio to another's in the same rounds.

    Attributes:
        milliseconds: median.
        ratio: median over rounds of the ratio to the baseline's time in the same round.
        low, high: quartiles of that ratio.
        rounds: number of rounds.
    """

    milliseconds: float
    ratio: float
    low: float
    high: float
    rounds: int


def interleaved(
    functions: dict[str, Callable[[], None]],
    baseline: str,
    rounds: int,
    shortest: float = 0.01,
    longest: float = 60.0,
    fewest: int = 9,
) -> dict[str, Time]:
    """Times functions in turns, the order reversed in every other round.

    Args:
        functions: by name; each returns when all its work is done.
        baseline: the one that the others are compared with.
        rounds: how many times each is timed, after two calls that are not.
        shortest: seconds that one timing takes at least: fast functions are called several times.
        longest: seconds after which there are no more rounds, if there were `fewest`.

    Returns:
        A `Time` for each name.
    """
    for function in functions.values():
        function()
    calls = {name: max(1, round(shortest / max(_seconds(function), 1e-6))) for name, function in functions.items()}
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    began = time.perf_counter()
    for turn in range(rounds):
        if turn >= fewest and time.perf_counter() - began > longest:
            break
        for name in list(functions)[:: -1 if turn % 2 else 1]:
            seconds[name].append(_seconds(functions[name], calls[name]))
    return {name: _summary(seconds[name], seconds[baseline]) for name in functions}


def _seconds(function: Callable[[], None], calls: int = 1) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - began) / calls


def _summary(seconds: list[float], baseline: list[float]) -> Time:
    ratios = [mine / other for mine, other in zip(seconds, baseline, strict=True)]
    low, ratio, high = np.quantile(ratios, (0.25, 0.5, 0.75)).tolist()
    return Time(1000 * statistics.median(seconds), ratio, low, high, len(seconds))


def compiled(model: keras.Model, inputs: np.ndarray, mode: str, inner: bool = False) -> Callable[[], None]:
    """One pass of a model over a batch, compiled as the backend does in `fit` and `predict`, the device waited for.

    Backward, the gradient of the mean square of the output with respect to the weights, in training; the loss is
    returned too, so that nothing of the forward pass can be left out. Of an inner layer, whose inputs other layers have
    made, the gradient with respect to the inputs as well.
    """
    tensor = keras.ops.convert_to_tensor(inputs)
    made = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]
    return made(model, tensor, mode, inner)


def predictor(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """What takes a batch of NumPy's and gives the outputs, compiled as the backend does in `predict`."""
    return _of_arrays(_forward(model))


def eager(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """What takes a batch of NumPy's and gives the outputs, one operation after the other."""
    return _of_arrays(
        _forward(model) if keras.backend.backend() == "torch" else functools.partial(model, training=False)
    )


def _of_arrays(forward: Callable) -> Callable[[np.ndarray], np.ndarray]:
    return lambda inputs: keras.ops.convert_to_numpy(forward(keras.ops.convert_to_tensor(inputs)))


def peak_memory() -> float:
    """Megabytes that this process has taken at most until now, on a GPU those of the device."""
    backend, peak = keras.backend.backend(), None
    if backend == "torch":
        import torch

        peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    elif backend == "jax":
        import jax

        peak = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    else:
        import tensorflow as tf

        if on_gpu():
            peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
    if peak is None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return peak / 2**20


def _loss(outputs):
    """The mean square, of all numbers in one row: TensorFlow takes longer for the gradient of a mean over more axes."""
    return keras.ops.mean(keras.ops.square(keras.ops.cast(keras.ops.reshape(outputs, (-1,)), "float32")))


def _forward(model: keras.Model) -> Callable:
    """Inference, from a tensor to the outputs, compiled as the backend does in `predict`."""
    if keras.backend.backend() == "torch":
        import torch

        @torch.no_grad()
        def forward(inputs):
            return model(inputs, training=False)

        return forward
    if keras.backend.backend() == "jax":
        import jax

        trained, others = _values(model)
        function = jax.jit(functools.partial(model.stateless_call, training=False))
        return lambda inputs: function(trained, others, inputs)[0]
    return _function(functools.partial(model, training=False))


def _function(call: Callable) -> Callable:
    """Compiled as Keras does on TensorFlow: by XLA on a GPU, which is left out on a CPU."""
    import tensorflow as tf

    return tf.function(call, jit_compile=on_gpu() or None)


def _values(model: keras.Model) -> tuple[list, list]:
    """What `stateless_call` takes for the variables."""
    variables = (model.trainable_variables, model.non_trainable_variables)
    trained, others = ([variable.value for variable in those] for those in variables)
    return trained, others


def _tensorflow(model, inputs, mode, inner):
    import tensorflow as tf

    @_function
    def both(inputs):
        with tf.GradientTape() as tape:
            tape.watch([inputs] if inner else [])
            loss = _loss(model(inputs, training=True))
        weights = [variable.value for variable in model.trainable_weights]
        return loss, tape.gradient(loss, [*weights, inputs] if inner else weights)

    timed, synchronized = _forward(model) if mode == FORWARD else both, on_gpu()

    def call():
        timed(inputs)
        if synchronized:
            tf.test.experimental.sync_devices()

    return call


def _jax(model, inputs, mode, inner):
    import jax

    if mode == FORWARD:
        forward = _forward(model)
        return lambda: jax.block_until_ready(forward(inputs))
    trained, others = _values(model)

    def loss(trained, others, inputs):
        outputs, others = model.stateless_call(trained, others, inputs, training=True)
        return _loss(outputs), others

    gradient = jax.jit(jax.value_and_grad(loss, argnums=(0, 2) if inner else 0, has_aux=True))
    return lambda: jax.block_until_ready(gradient(trained, others, inputs))


def _torch(model, inputs, mode, inner):
    import torch

    inputs.requires_grad_(inner and mode == BOTH)
    forward = _forward(model)

    def call():
        if mode == FORWARD:
            forward(inputs)
        else:
            model.zero_grad()
            inputs.grad = None
            _loss(model(inputs, training=True)).backward()
        if inputs.is_cuda:
            torch.cuda.synchronize()

    return call
