"""Training on more than one device or host, by the engines' own means.

Under JAX that is keras.distribution.DataParallel, with jax.distributed for several processes; under TensorFlow
tf.distribute, MirroredStrategy and MultiWorkerMirroredStrategy. Each device holds the whole net and takes an equal part
of each batch, so that a run gives what it gives on one device: the same batches, the same mean loss, and statistics of
batch normalisation over the whole batch. Only dropout draws other numbers under TensorFlow,
which leaves out XLA as well, as Keras does with tf.distribute.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from typing import Any

import keras
import numpy as np

from training.batches import Batches, feed
from training.checkpoints import TrainingError

KERAS_VARIABLES = (
    "KERAS_DISTRIBUTION_JOB_ADDRESSES",
    "KERAS_DISTRIBUTION_NUM_PROCESSES",
    "KERAS_DISTRIBUTION_PROCESS_ID",
)


class OneDevice:
    """One process that trains on one device, the first that the backend has.

    Attributes:
        replicas: devices in all processes together; each batch is cut into as many parts.
        processes: of the run.
        process: number of this one. The first, 0, writes the run's folder.
    """

    replicas = 1
    processes = 1
    process = 0

    @property
    def first(self) -> bool:
        return self.process == 0

    def scope(self) -> contextlib.AbstractContextManager:
        """Where all processes make a net, or read it, and train it."""
        return contextlib.nullcontext()

    def check(self, config: dict[str, Any]) -> None:
        """Raises TrainingError if a config is not for so many devices: full batches are to be cut into equal parts."""
        batch_size = config["batch_size"]
        if batch_size % self.replicas:
            fits = [
                n
                for n in (batch_size - batch_size % self.replicas, -(-batch_size // self.replicas) * self.replicas)
                if n
            ]
            raise TrainingError(
                f"batch_size {batch_size} cannot be shared equally by {self.replicas} devices; "
                f"--set batch_size={' or '.join(map(str, fits))} can."
            )

    def fit(self, model: keras.Model, batches: Batches, callbacks: list) -> dict[str, float]:
        """Trains for an epoch; returns the means of loss and metrics over its examples."""
        with feed(batches) as data:
            return _fit(model, callbacks, x=data)

    def gather(self, value: int) -> list[int]:
        """The value that each process gives."""
        return [value]


class _Devices(OneDevice):
    """Several devices that share each batch."""

    def fit(self, model, batches, callbacks):
        part = Part(batches, self.replicas, self.process, self.processes)
        last = _BeforeLast(len(part))
        means = self._fit(model, part, [*callbacks, last])
        total, size = len(batches.order), batches.last_size
        before, times = total - size, part.times(size)
        # The examples of the last batch were counted `times` times; let them count once.
        return {
            key: (last.means.get(key, 0.0) * before * (times - 1) + mean * (before + size * times)) / (times * total)
            for key, mean in means.items()
        }

    def _fit(self, model, part: Part, callbacks: list) -> dict[str, float]:
        return _fit(model, callbacks, x=part)


class _Jax(_Devices):
    def __init__(self, names: list[str]):
        self.distribution = keras.distribution.DataParallel(devices=names, auto_shard_dataset=False)
        import jax

        self.replicas, self.processes, self.process = len(names), jax.process_count(), jax.process_index()

    def scope(self):
        return self.distribution.scope()

    def gather(self, value):
        from jax.experimental import multihost_utils

        return np.ravel(multihost_utils.process_allgather(np.asarray(value))).tolist()


class _TensorFlow(_Devices):
    def check(self, config):
        super().check(config)
        if config["optimizer"]["config"].get("gradient_accumulation_steps"):
            raise TrainingError(
                "gradient_accumulation_steps is of one device under TensorFlow: Keras cannot accumulate over several. "
                "Set KERAS_BACKEND=jax, or a larger batch_size without it."
            )

    def __init__(self, strategy, processes: int = 1, process: int = 0):
        self.strategy, self.processes, self.process = strategy, processes, process
        self.replicas = strategy.num_replicas_in_sync
        self.model, self.step = None, None

    def scope(self):
        return self.strategy.scope()

    def _fit(self, model, part, callbacks):
        with feed(part) as data:
            return self._fit_data(model, part, data, callbacks)

    def _fit_data(self, model, part, data, callbacks):
        import tensorflow as tf

        local = self.replicas // self.processes

        @tf.autograph.experimental.do_not_convert
        def cut(*arrays):
            pieces = tuple(tf.reshape(array, (local, -1, *array.shape[1:])) for array in arrays)
            return tf.data.Dataset.from_tensor_slices(pieces)

        def pieces(context) -> tf.data.Dataset:
            """One after the other for the devices of this process."""
            return data.flat_map(cut).prefetch(2 * local)

        batches = iter(self.strategy.distribute_datasets_from_function(pieces))
        # Not by model.fit, which in Keras 3.15 cannot take its means over several processes.
        with _synchronized(model):
            if model is not self.model:
                model._symbolic_build(data_batch=part[0])  # metrics and optimizer make their variables
                self.model, self.step = model, self._make_step(model)
            model.reset_metrics()
            called = keras.callbacks.CallbackList([*callbacks], model=model)
            called.on_epoch_begin(0)
            for index in range(len(part)):
                self.step(batches)
                # Means are taken over all processes, which takes time: where they are asked for.
                called.on_train_batch_end(index, model.get_metrics_result() if index == len(part) - 2 else {})
            means = {key: float(value) for key, value in model.get_metrics_result().items()}
            called.on_epoch_end(0, means)
        return means

    def _make_step(self, model):
        import tensorflow as tf

        @tf.function(autograph=False)
        def step(batches):
            self.strategy.run(model.train_step, args=(next(batches),))

        return step

    def gather(self, value):
        import tensorflow as tf

        values = self.strategy.experimental_distribute_values_from_function(lambda context: tf.constant([value]))
        gathered = self.strategy.gather(values, axis=0).numpy().tolist()
        return gathered[:: self.replicas // self.processes]


class Part(keras.utils.PyDataset):
    """What one process takes of each batch: the same share of its rows as all others, in the order of the processes.

    A last batch that the devices cannot share equally has all its examples repeated until they can, which changes
    neither its mean loss and gradient nor the statistics of batch normalisation.
    """

    def __init__(self, batches: Batches, replicas: int, process: int, processes: int):
        super().__init__(workers=batches.workers, use_multiprocessing=False, max_queue_size=batches.max_queue_size)
        self.batches, self.replicas, self.process, self.processes = batches, replicas, process, processes

    def __len__(self) -> int:
        return len(self.batches)

    def times(self, examples: int) -> int:
        """How often each of so many examples is taken."""
        return self.replicas // math.gcd(examples, self.replicas)

    def __getitem__(self, index: int):
        arrays = self.batches[index]
        times = self.times(len(arrays[0]))
        share = len(arrays[0]) * times // self.processes
        rows = np.arange(self.process * share, (self.process + 1) * share) % len(arrays[0])
        return tuple(np.ascontiguousarray(array[rows]) for array in arrays)


def connect(devices: str = "1", hosts: bool = False, seed: int = 0) -> OneDevice:
    """What a run trains on; to be called before the backend has computed anything.

    Args:
        devices: how many devices of this machine, or `"auto"` for all. Where there are only CPUs, as many virtual
            devices are made of one; they are no faster, but let one try it.
        hosts: whether several processes train together, on one host or many, as their environment says; each with all
            the devices it sees.
        seed: of the run.

    Raises:
        TrainingError: if the backend has not so many devices, or the environment does not say what it should.
    """
    if devices != "auto" and not (devices.isdecimal() and int(devices) > 0):
        raise TrainingError(f"--devices takes a positive number or auto, got {devices!r}.")
    wanted = None if devices == "auto" else int(devices)
    backend = keras.backend.backend()
    if hosts and wanted not in (None, 1):
        raise TrainingError(
            f"--hosts trains on all devices that each process sees, got --devices {devices}; leave that out and choose "
            "them by CUDA_VISIBLE_DEVICES."
        )
    if wanted == 1 and not hosts:
        return OneDevice()
    if backend == "jax":
        return _connect_jax(wanted, hosts, seed)
    if backend == "tensorflow":
        return _connect_hosts_of_tensorflow() if hosts else _connect_tensorflow(wanted)
    if wanted is None and not hosts:
        return OneDevice()
    raise TrainingError(
        f"the backend {backend} trains on one device here; set KERAS_BACKEND to jax or tensorflow for more."
    )


def _connect_jax(wanted: int | None, hosts: bool, seed: int) -> OneDevice:
    import jax

    if hosts:
        keras.utils.set_random_seed(seed)  # or else Keras would agree on one by a computation of all processes
        try:
            keras.distribution.initialize()
        except (ValueError, RuntimeError) as error:
            raise TrainingError(
                f"the processes cannot be joined ({error}): set {', '.join(KERAS_VARIABLES)}, "
                "or start them by SLURM or MPI."
            ) from None
    elif wanted is not None and "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        with contextlib.suppress(RuntimeError):  # JAX has started already, with the devices it has
            jax.config.update("jax_num_cpu_devices", wanted)
    names = keras.distribution.list_devices()
    _check_number(wanted, names)
    names = names if hosts else names[:wanted]
    return _Jax(names) if len(names) > 1 else OneDevice()


def _connect_tensorflow(wanted: int | None) -> OneDevice:
    import tensorflow as tf

    if wanted is not None and not tf.config.list_physical_devices("GPU"):
        (cpu,) = tf.config.list_physical_devices("CPU")
        if tf.config.get_logical_device_configuration(cpu) is None:
            with contextlib.suppress(RuntimeError):  # TensorFlow has started already, with the devices it has
                tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * wanted)
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    names = [device.name for device in found]
    _check_number(wanted, names)
    if len(names[:wanted]) == 1:
        return OneDevice()
    return _TensorFlow(tf.distribute.MirroredStrategy(names[:wanted]))


def _connect_hosts_of_tensorflow() -> OneDevice:
    import tensorflow as tf

    try:
        config = json.loads(os.environ["TF_CONFIG"])
        workers, index = config["cluster"]["worker"], int(config["task"]["index"])
        if config["task"]["type"] != "worker" or not 0 <= index < len(workers):
            raise ValueError("its task is none of its workers")
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            "--hosts under TensorFlow needs TF_CONFIG in the environment of each process, such as "
            '{"cluster": {"worker": ["host1:12345", "host2:12345"]}, "task": {"type": "worker", "index": 0}}; '
            f"got {os.environ.get('TF_CONFIG')!r} ({error!r})."
        ) from None
    return _TensorFlow(tf.distribute.MultiWorkerMirroredStrategy(), len(workers), index)


def _check_number(wanted: int | None, names: list[str]) -> None:
    if wanted is not None and len(names) < wanted:
        raise TrainingError(f"{wanted} devices were asked for, there are {len(names)}: {', '.join(names)}.")


def _fit(model: keras.Model, callbacks: list, **data: Any) -> dict[str, float]:
    stop = keras.callbacks.TerminateOnNaN()
    logs = model.fit(**data, callbacks=[*callbacks, stop], shuffle=False, verbose=0)
    return {key: float(values[-1]) for key, values in logs.history.items()}


class _BeforeLast(keras.callbacks.Callback):
    """Keeps the means over all batches but the last."""

    def __init__(self, steps: int):
        super().__init__()
        self.steps, self.means = steps, {}

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.steps - 2:
            self.means = {key: float(value) for key, value in logs.items()}


@contextlib.contextmanager
def _synchronized(model: keras.Model):
    """Statistics of batch normalisation over the batch of all devices; it is no part of the net that is saved."""
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    before = [layer.synchronized for layer in layers]
    for layer in layers:
        layer.synchronized = True
    try:
        yield
    finally:
        for layer, value in zip(layers, before, strict=True):
            layer.synchronized = value
