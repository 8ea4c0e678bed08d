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
    if keras.backend.backend() == "torch":
        import torch

        @torch.no_grad()
        def call(inputs):
            return model(inputs, training=False)

    elif keras.backend.backend() == "jax":
        import jax

        trained = [variable.value for variable in model.trainable_variables]
        others = [variable.value for variable in model.non_trainable_variables]
        function = jax.jit(functools.partial(model.stateless_call, training=False))

        def call(inputs):
            return function(trained, others, inputs)[0]

    else:
        import tensorflow as tf

        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        call = tf.function(functools.partial(model, training=False), jit_compile=on_gpu or None)
    return lambda inputs: keras.ops.convert_to_numpy(call(keras.ops.convert_to_tensor(inputs)))


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

        if tf.config.list_physical_devices("GPU"):
            peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
    if peak is None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return peak / 2**20


def _loss(outputs):
    return keras.ops.mean(keras.ops.square(keras.ops.cast(outputs, "float32")))


def _tensorflow(model, inputs, mode, inner):
    import tensorflow as tf

    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    function = functools.partial(
        tf.function, jit_compile=on_gpu or None
    )  # as Keras does, which leaves XLA out on a CPU

    @function
    def forward(inputs):
        return model(inputs, training=False)

    @function
    def both(inputs):
        with tf.GradientTape() as tape:
            tape.watch([inputs] if inner else [])
            loss = _loss(model(inputs, training=True))
        weights = [variable.value for variable in model.trainable_weights]
        return loss, tape.gradient(loss, [*weights, inputs] if inner else weights)

    timed = forward if mode == FORWARD else both

    def call():
        timed(inputs)
        if on_gpu:
            tf.test.experimental.sync_devices()

    return call


def _jax(model, inputs, mode, inner):
    import jax

    trained = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]

    def forward(trained, others, inputs):
        return model.stateless_call(trained, others, inputs, training=False)[0]

    def loss(trained, others, inputs):
        outputs, others = model.stateless_call(trained, others, inputs, training=True)
        return _loss(outputs), others

    gradient = jax.value_and_grad(loss, argnums=(0, 2) if inner else 0, has_aux=True)
    function = jax.jit(forward if mode == FORWARD else gradient)
    return lambda: jax.block_until_ready(function(trained, others, inputs))


def _torch(model, inputs, mode, inner):
    import torch

    inputs.requires_grad_(inner and mode == BOTH)

    def call():
        if mode == FORWARD:
            with torch.no_grad():
                model(inputs, training=False)
        else:
            model.zero_grad()
            inputs.grad = None
            _loss(model(inputs, training=True)).backward()
        if inputs.is_cuda:
            torch.cuda.synchronize()

    return call
