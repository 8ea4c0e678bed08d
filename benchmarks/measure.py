"""The measurements behind each command; every one yields the rows of its table."""

from __future__ import annotations

import functools
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np

import groco
from benchmarks import cases, peer, results
from benchmarks.timing import BOTH, FORWARD, compiled, eager, interleaved, predictor
from groco._hardware import cores
from groco.fourier import choice
from groco.layers.weighted import WeightedGroupLayer

Rows = Iterator[dict[str, Any]]
LARGEST_KERNEL = 2**26  # numbers in an expanded kernel, 256 MB
WIDE: dict[str, dict[str, Any]] = {
    "p4m_resnet20, 32, 64 and 96 wide": {"name": "p4m_resnet20", "input_shape": (32, 32, 3), "widths": (32, 64, 96)}
}
ANY_SIZE = 128  # of images to nets that take any
LONGEST = 6e10  # multiplications of a case; below a second on two cores


def _compare(name: str, models: dict, rounds: int, inner: bool = False, others: dict | None = None) -> Rows:
    """Exported nets are for inference, and are not timed backward.

    `others`: what makes the function that is timed of a mode, of other libraries, by name.
    """
    for mode in (FORWARD, BOTH):
        functions = {
            variant: compiled(model, inputs, mode, inner)
            for variant, (model, inputs) in models.items()
            if mode == FORWARD or (not variant.startswith("exported") and (inner or model.trainable_weights))
        }
        if "plain" not in functions:
            continue
        functions |= {variant: make(mode) for variant, make in (others or {}).items()}
        for variant, measured in interleaved(functions, "plain", rounds).items():
            row = {"case": name, "variant": variant, "pass": mode, "batch": len(models["plain"][1])}
            yield row | _columns(measured)
            print(f"{name:32} {mode:17} {variant:18} {measured.milliseconds:9.2f} ms {measured.ratio:6.3f}", flush=True)


def _columns(measured) -> dict[str, Any]:
    return {
        "milliseconds": f"{measured.milliseconds:.4g}",
        "ratio": f"{measured.ratio:.4f}",
        "ratio_low": f"{measured.low:.4f}",
        "ratio_high": f"{measured.high:.4f}",
        "rounds": measured.rounds,
    }


def layers(rounds: int, only: str = "") -> Rows:
    """Each layer beside the plain one of the same expanded width."""
    for case in cases.layer_cases(large=results.on_gpu()):
        if only in case.name:
            others = {"escnn": functools.partial(peer.escnn, case)} if peer.has(case) else {}
            yield from _compare(f"{case.name} ({case.group})", case.models(), rounds, inner=True, others=others)


def models(rounds: int, only: str = "") -> Rows:
    """Each net beside the same one of plain layers, and its export."""
    for case in cases.net_cases(large=results.on_gpu()):
        if only in case.name:
            yield from _compare(case.name, case.models(), rounds)


def inference(rounds: int, only: str = "") -> Rows:
    """Each net, for one image and for several, with the kernels that its layers keep and with kernels made anew.

    Called eagerly, and compiled: there nothing keeps kernels, and it is timed what it would gain to have the program
    keep them.
    """
    for case in cases.net_cases(large=results.on_gpu()):
        if only not in case.name:
            continue
        kept, anew = case.build(), case.build()
        _prepare_by(lambda: None, anew)
        ways = {"anew": ({"anew": anew, "kept": kept}, eager)}
        if keras.backend.backend() != "torch":  # which compiles nothing in `predict`
            nets = {
                "compiled": anew,
                "compiled, chosen": _choosing(case),
                "compiled, exported": groco.export_plain(anew, implementation="auto"),
            }
            ways["compiled"] = (nets, predictor)
        for inputs in (case.inputs()[:1], case.inputs()):
            for baseline, (nets, run) in ways.items():
                calls = {variant: _with(run(net), inputs) for variant, net in nets.items()}
                for variant, measured in interleaved(calls, baseline, rounds).items():
                    yield {"case": case.name, "variant": variant, "batch": len(inputs)} | _columns(measured)
                    print(
                        f"{case.name:20} {variant:18} {len(inputs):4} {measured.milliseconds:8.3f} ms "
                        f"{measured.ratio:6.3f}"
                    )


def _choosing(case) -> keras.Model:
    """A net whose compiled program has the kernels that were made, and chooses them if they are of the same weights."""
    model = case.build()
    _prepare_by(_Chosen, model)
    with mock.patch.object(choice, "_is_eager", return_value=False):  # the implementations that are compiled
        for inputs in (case.inputs()[:1], case.inputs()):
            model(inputs, training=False)  # makes them
    return model


def _prepare_by(make: Callable[[], Any], model: keras.Model) -> None:
    """Gives each layer with kernels another way to keep what it makes of them."""
    for layer in model._flatten_layers():
        if isinstance(layer, WeightedGroupLayer):
            layer._prepared = make()


class _Chosen:
    def __init__(self):
        self.made: dict[str, tuple[Any, Any]] = {}

    def __call__(self, kernel, make: Callable[[Any], Any], name: str):
        kernel = keras.ops.convert_to_tensor(kernel)
        if name not in self.made:
            self.made[name] = keras.tree.map_structure(keras.Variable, (kernel, make(kernel)))
        source, made = keras.tree.map_structure(lambda variable: variable.value, self.made[name])
        same = keras.ops.all(keras.ops.equal(source, kernel))
        return keras.ops.cond(same, lambda: made, lambda: make(kernel))


def scaling(rounds: int, only: str = "") -> Rows:
    """Each way in which a group convolution can be computed beside the plain one, over widths, 1x1 and 3x3."""
    batch = 64 if results.on_gpu() else cases.SCALING_BATCH
    for kernel, case in cases.scaling_cases(batch):
        points = int(np.prod(case.size))
        numbers = kernel ** len(case.size) * (case.order * case.channels) ** 2
        too_long = not results.on_gpu() and numbers * points * batch > LONGEST
        if numbers > LARGEST_KERNEL or too_long or only not in case.name:
            continue
        about = {"group": case.group, "kernel": kernel, "channels": case.channels, "points": points}
        for row in _compare(case.name, case.models(), rounds, inner=True):
            yield about | row


def start(rounds: int, only: str = "") -> Rows:
    """Seconds until a first result, each in a process of its own: imports, building, the first step of training."""
    with tempfile.TemporaryDirectory() as folder:
        programs = {key: program for key, program in _programs(Path(folder)).items() if only in key[0]}
        seconds: dict[tuple[str, str], list[float]] = {key: [] for key in programs}
        for _ in range(max(1, min(rounds, 7))):
            for key, program in programs.items():
                seconds[key].append(float(_run(_TIMED.format(program=program))[-1]))
    for (case, variant), measured in seconds.items():
        yield {"case": case, "variant": variant, "seconds": f"{np.median(measured):.4g}", "rounds": len(measured)}
        print(f"{case:32} {variant:6} {np.median(measured):7.3f} s", flush=True)


def _programs(folder: Path) -> dict[tuple[str, str], str]:
    """What is timed, by case and variant."""
    net = groco.create_model("p4m_resnet44", widths=(3, 3, 3), input_shape=(16, 16, 3))
    plain = groco.export_plain(net)
    for layer in plain.layers:
        if hasattr(layer, "kernel_initializer"):  # as the net of groco has; some take longer than others
            layer.kernel_initializer = keras.initializers.HeNormal()
    programs = {
        ("import", "plain"): "import keras",
        ("import", "groco"): "import keras\nbegan = time.perf_counter()\nimport groco",  # what it adds
    }
    for variant, model in (("plain", plain), ("groco", net)):
        path = folder / f"{variant}.json"
        path.write_text(model.to_json(), encoding="utf-8")
        for case, times in (("build 44 layers", 1), ("build 44 layers again", 2)):
            programs[case, variant] = _BUILD.format(path=str(path), times=times)
        programs["first step of p4cnn", variant] = _STEP.format(
            model="net" if variant == "groco" else "groco.export_plain(net)"
        )
    return programs


_TIMED = """
import time
began = time.perf_counter()
{program}
print(time.perf_counter() - began)
"""

_BUILD = """
import keras, groco.layers
text = open({path!r}, encoding="utf-8").read()
for _ in range({times}):
    began = time.perf_counter()
    keras.models.model_from_json(text)
"""

_STEP = """
import groco, keras, numpy as np
net = groco.create_model("p4cnn")
model = {model}
model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
began = time.perf_counter()
model.train_on_batch(np.zeros((64, 28, 28, 1), "float32"), np.zeros(64, "int32"))
"""


def memory(rounds: int, only: str = "") -> Rows:
    """Megabytes that a layer and one pass forward and backward add to a process at its peak; the expanded kernel's."""
    for rank, group, width, size in (
        (2, "P4M", 64, 16), (2, "P4M", 128, 16), (3, "O", 16, 8), (3, "Oh", 4, 8), (3, "Oh", 8, 8), (3, "Oh", 16, 8),
    ):  # fmt: skip
        case = cases.convolution(f"{group}, {width} channels", group, (size,) * rank, width, width, 3, batch=1)
        if only not in case.name:
            continue
        kernel = 4 * 3**rank * (case.order * width) ** 2 / 2**20
        for variant in ("plain", *cases.WAYS):
            program = _MEMORY.format(group=group, width=width, size=(size,) * rank, variant=variant)
            peaks = [float(_run(program)[-1]) for _ in range(max(1, min(rounds, 3)))]
            row = {"case": case.name, "variant": variant, "megabytes": f"{np.median(peaks):.0f}"}
            yield row | {"expanded_kernel_megabytes": f"{kernel:.1f}", "rounds": len(peaks)}
            print(f"{case.name:24} {variant:8} {np.median(peaks):7.0f} MB, expanded kernel {kernel:.1f} MB", flush=True)


# Weights of zeros: to draw random ones takes memory too, of which the plain layer has |G| times as many.
_MEMORY = """
import keras
from benchmarks import cases
from benchmarks.timing import BOTH, compiled, peak_memory
keras.initializers.GlorotUniform.__call__ = lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype)
def run(width):
    case = cases.convolution("", "{group}", {size}, width, width, 3, batch=1, implementations=cases.WAYS)
    compiled(*case.model("{variant}"), BOTH)()
run(1)
before = peak_memory()
run({width})
print(peak_memory() - before)
"""


def _run(program: str) -> list[str]:
    """What a program prints, in lines, in a process of its own with this backend."""
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend(), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"a measurement failed: {done.stderr[-2000:]}")
    return done.stdout.split("\n")[:-1]


def formats(rounds: int, only: str = "") -> Rows:
    """Size and latency of the exported trained nets, and of a wide one, for one image and for several."""
    for name in [*groco.list_pretrained(), *WIDE]:
        if only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            if name in WIDE:
                net, implementations, batches = groco.create_model(**WIDE[name]), ("dense", "fourier"), (1, 8)
            else:
                net, implementations, batches = groco.from_pretrained(name), ("dense",), (1, 64)
            functions = _exported(net, Path(folder), implementations)
            shape = (*(size or ANY_SIZE for size in net.input_shape[1:-1]), net.input_shape[-1])
            for batch in batches:
                inputs = np.random.default_rng(0).random((batch, *shape), "float32")
                calls = {label: _with(call, inputs) for label, (_, call) in functions.items()}
                for label, measured in interleaved(calls, "groco", rounds, longest=20, fewest=5).items():
                    row = {"case": name, "variant": label, "batch": batch, "kilobytes": functions[label][0]}
                    yield row | _columns(measured)
                    print(f"{name:20} {label:16} {batch:4} {measured.milliseconds:8.3f} ms", flush=True)


def _with(call: Callable[[np.ndarray], Any], inputs: np.ndarray) -> Callable[[], None]:
    return lambda: call(inputs)


def _exported(
    model: keras.Model, folder: Path, implementations: tuple[str, ...]
) -> dict[str, tuple[str, Callable[[np.ndarray], Any]]]:
    """Kilobytes and a function from inputs to outputs, for each format that the backend writes."""
    found = {"groco": (f"{4 * model.count_params() / 1024:.0f}", predictor(model))}
    for (format, suffix), implementation in itertools.product(groco.surgery.FORMATS.items(), implementations):
        path = folder / f"{implementation}{suffix}"
        try:
            groco.surgery.export_model(model, path, format, implementation=implementation)
            call = _RUNNERS[format](path)
        except (ValueError, ImportError) as error:
            print(f"{format}, {implementation}: {error}")
            continue
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        label = format if implementation == "dense" else f"{format}, {implementation}"
        found[label] = f"{sum(file.stat().st_size for file in files) / 1024:.0f}", call
    return found


def _saved_model(path: Path):
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    return lambda inputs: loaded.serve(inputs).numpy()


def _onnx(path: Path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    name = session.get_inputs()[0].name
    return lambda inputs: session.run(None, {name: inputs})


def _litert(path: Path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=cores())
    place, end = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    shape: list[tuple] = [()]

    def call(inputs):
        if shape[0] != inputs.shape:
            shape[0] = inputs.shape
            interpreter.resize_tensor_input(place, inputs.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(place, inputs)
        interpreter.invoke()
        return interpreter.get_tensor(end)

    return call


_RUNNERS: dict[str, Callable[[Path], Callable[[np.ndarray], Any]]] = {
    "keras": lambda path: predictor(keras.saving.load_model(path)),
    "tf_saved_model": _saved_model,
    "onnx": _onnx,
    "litert": _litert,
}


def precision(rounds: int, only: str = "") -> Rows:
    """A trained net in mixed_bfloat16: errors on the digits that come with groco, equivariance and speed."""
    name = "p4cnn.rotmnist"
    images, labels = groco.data.digits()
    inputs = groco.preprocessor(name)(images)
    logits, nets, changes = {}, {}, {}
    for policy in ("float32", "mixed_bfloat16"):
        model = _with_policy(groco.from_pretrained(name), policy)
        logits[policy] = model.predict(inputs, batch_size=250, verbose=0).astype("float32")
        turned = model.predict(np.rot90(inputs, axes=(1, 2)).copy(), batch_size=250, verbose=0).astype("float32")
        changes[policy] = np.abs(turned - logits[policy]).max() / np.abs(logits[policy]).max()
        nets[policy] = model
    for mode in (FORWARD, BOTH):
        calls = {policy: compiled(model, inputs[:128], mode) for policy, model in nets.items()}
        for policy, measured in interleaved(calls, "float32", rounds).items():
            wrong = int((logits[policy].argmax(-1) != labels).sum())
            row = {"case": name, "variant": policy, "pass": mode, "wrong_of_1000": wrong}
            yield row | {"change_when_turned": f"{changes[policy]:.2g}"} | _columns(measured)
            print(
                f"{policy:16} {mode:17} {wrong} wrong, {measured.milliseconds:.2f} ms, {measured.ratio:.3f}", flush=True
            )


def _with_policy(model: keras.Model, policy: str) -> keras.Model:
    """The same net with every layer in another precision."""

    def copy(layer):
        return type(layer).from_config({**layer.get_config(), "dtype": policy})

    copied = keras.models.clone_model(model, clone_function=copy)
    copied.set_weights(model.get_weights())
    return copied
