"""Exported files compute the model's numbers in the programs that they are for."""

import keras
import numpy as np
import pytest

import groco
from groco import layers
from groco.surgery import FORMATS, export_model, formats
from groco.surgery.signals import _exchange
from tests.models.test_models import SMALL
from tests.models.trained_like import randomise

BACKEND = keras.backend.backend()


def run(path, format, inputs):
    """The output of an exported file of one input and one output."""
    if format == "keras":
        return keras.ops.convert_to_numpy(keras.saving.load_model(path)(inputs))
    if format == "tf_saved_model":
        import tensorflow as tf

        model = tf.saved_model.load(path)
        return model.serve(inputs).numpy()
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path)
        return session.run(None, {session.get_inputs()[0].name: inputs})[0]
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, inputs.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, inputs)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def written(format):
    return format == "keras" or BACKEND in formats._BACKENDS[format]


def check(model, inputs, path, format, **options):
    expected = keras.ops.convert_to_numpy(model(inputs))
    assert export_model(model, path, format, **options) == path
    np.testing.assert_allclose(run(path, format, inputs), expected, atol=1e-5 * np.abs(expected).max(), rtol=0)
    assert [p.name for p in path.parent.iterdir()] == [path.name], "nothing else is left"


def _architecture(name, format, rng, folder):
    """A small net with random weights, its inputs, and where it goes; skips what the backend does not write."""
    if not written(format):
        pytest.skip(f"{BACKEND} does not write it")
    small = next(small for small in SMALL if small.name == name)
    model = small.build()
    randomise(model, rng)
    return model, small.inputs(rng), folder / f"net{FORMATS[format]}"


@pytest.mark.parametrize("format", FORMATS)
def test_a_trained_model(format, tmp_path):
    if not written(format):
        with pytest.raises(ValueError, match=f"Keras on {BACKEND} does not write format '{format}'; set KERAS_BACKEND"):
            export_model("p4cnn.rotmnist", tmp_path / f"digits{FORMATS[format]}", format)
        return
    images, labels = groco.data.digits()
    inputs = groco.preprocessor("p4cnn.rotmnist")(images[:50])
    path = tmp_path / f"digits{FORMATS[format]}"
    check(groco.from_pretrained("p4cnn.rotmnist"), inputs, path, format)
    first = run(path, format, inputs)
    assert (first.argmax(-1) == labels[:50]).mean() > 0.9
    export_model("p4cnn.rotmnist", path, format, fold_batch_norm=False)  # replaces what is there
    np.testing.assert_allclose(run(path, format, inputs), first, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "format", "reason"),
    [
        ("p4_unet", "tf_saved_model", None),
        ("p4_unet", "onnx", None),
        ("p4_unet", "litert", None),
        ("p4m_convnext", "onnx", "Erfc" if BACKEND == "tensorflow" else "Failed to export a node"),
        ("p4m_convnext", "litert", None),
        ("o_resnet3d", "onnx", None if BACKEND == "tensorflow" else "memory_format"),
        ("o_resnet3d", "litert", "AvgPool3D"),
    ],
)
def test_architectures(name, format, reason, rng, tmp_path):
    """`reason`: the operation that the format lacks."""
    model, inputs, path = _architecture(name, format, rng, tmp_path)
    if reason is None:
        check(model, inputs, path, format)
        return
    with pytest.raises(ValueError, match=f"cannot be exported to '{format}' by Keras on {BACKEND}: .*{reason}"):
        export_model(model, path, format)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["p4_unet", "p4m_densenet"])
def test_the_fourier_basis(name, format, rng, tmp_path):
    model, inputs, path = _architecture(name, format, rng, tmp_path)
    if (BACKEND, name, format) == ("torch", "p4m_densenet", "onnx"):  # no `ravel`, by which Keras permutes channels
        with pytest.raises(ValueError, match=r"cannot be exported to 'onnx' by Keras on torch: .*ravel"):
            export_model(model, path, format, implementation="fourier")
        return
    check(model, inputs, path, format, implementation="fourier")
    if format == "keras":
        assert any("character" in layer.name for layer in keras.saving.load_model(path).layers)


def _net():
    inputs = keras.Input((6, 6, 1))
    return keras.Model(inputs, layers.GlobalGroupMaxPooling2D(group="P4")(layers.GroupConv2D(2, 3, group="P4")(inputs)))


def test_wrong_arguments(tmp_path):
    (tmp_path / "folder.keras").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "mine").mkdir()
    for name in ("notes.txt", "saved_model.pb"):  # beside a model that may be replaced
        (tmp_path / "mine" / name).write_text("")
    cases = [
        ("net.h5", "h5", "format is one of 'keras', .*, got 'h5'"),
        ("net.h5", "keras", r"the path of format 'keras' ends in '\.keras', got '.*net\.h5'"),
        ("missing/net.keras", "keras", "there is no folder '.*missing'"),
        ("folder.keras", "keras", "folder.keras' is a folder"),
    ]
    if written("tf_saved_model"):
        cases += [
            ("file", "tf_saved_model", "file' is a file"),
            ("mine", "tf_saved_model", "has other things in it than a SavedModel, 'notes.txt'"),
        ]
    for path, format, message in cases:
        with pytest.raises(ValueError, match=message):
            export_model(_net(), tmp_path / path, format)
    with pytest.raises(ValueError, match="implementation is one of auto, dense, fourier, got 'fast'"):
        export_model("p4cnn.nothing", tmp_path / "net.keras", implementation="fast")
    with pytest.raises(ValueError, match="no trained model"):
        export_model("p4cnn.nothing", tmp_path / "net.keras")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.keras", "mine"]


@pytest.mark.skipif(not written("onnx"), reason="the backend does not write ONNX")
@pytest.mark.parametrize("error", [ImportError("no tf2onnx"), RuntimeError("an operation\nthat ONNX lacks")])
def test_a_failed_export_leaves_what_was_there(error, tmp_path, monkeypatch):
    def fail(self, filepath, **kwargs):
        filepath.write_text("half")
        raise error

    monkeypatch.setattr(keras.Model, "export", fail)
    path = tmp_path / "net.onnx"
    path.write_text("before")
    wanted = ImportError if isinstance(error, ImportError) else ValueError
    with pytest.raises(wanted) as raised:
        export_model(_net(), path, "onnx")
    message = str(raised.value)
    assert "\n" not in message
    assert ("groco[export]" in message) if wanted is ImportError else ("an operation that ONNX lacks" in message)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("policy", "refused"), [("mixed_bfloat16", ("onnx", "litert")), ("float16", ("litert",))])
def test_half_precision_that_no_runtime_knows_is_named(policy, refused, tmp_path):
    inputs = keras.Input((6, 6, 3))
    conv = layers.GroupConv2D(2, 3, group="P4", dtype=policy, name="half")
    model = keras.Model(inputs, layers.GlobalGroupAveragePooling2D(group="P4", dtype="float32")(conv(inputs)))
    for format in refused:
        if written(format):
            with pytest.raises(
                ValueError, match=rf"to '{format}': half computes in .*float16; build the model in float32"
            ):
                export_model(model, tmp_path / f"net{FORMATS[format]}", format)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(BACKEND != "torch", reason="on TensorFlow they are computed by XLA")
def test_groups_of_channels_of_a_signal_on_a_group(tmp_path, rng):
    image = keras.Input((8, 8, 4))
    signal = layers.GroupConv2D(6, 3, group="P4M")(image)
    model = keras.Model(image, layers.GroupConv2D(4, 3, groups=2, group="P4M")(signal))
    check(model, rng.normal(size=(2, 8, 8, 4)).astype("float32"), tmp_path / "net.onnx", "onnx")


def test_where_two_factors_of_an_axis_are_exchanged(rng):
    for _ in range(300):
        sizes = rng.integers(1, 6, size=4)
        count = int(sizes.prod())
        places = np.arange(count).reshape(sizes).swapaxes(1, 2).ravel()
        found = _exchange(places, count)
        if sizes[1] > 1 < sizes[2]:
            np.testing.assert_array_equal(np.arange(count).reshape(found).swapaxes(1, 2).ravel(), places)
        other = rng.permutation(count)
        if (found := _exchange(other, count)) is not None:
            np.testing.assert_array_equal(np.arange(count).reshape(found).swapaxes(1, 2).ravel(), other)


def test_a_converter_that_fails_is_quiet(tmp_path, capfd):
    """One line says what it cannot do; of what it writes past Python nothing is seen, and all of what comes after."""
    format = {"tensorflow": "litert", "torch": "onnx"}.get(BACKEND)
    if format is None:
        pytest.skip("nothing that JAX writes fails so")
    image = keras.Input((4, 4, 4, 1))
    signal = layers.GroupAveragePooling3D(2, group="O")(layers.GroupConv3D(1, 3, group="O", padding="same")(image))
    with pytest.raises(ValueError, match=f"cannot be exported to '{format}' by Keras on {BACKEND}: [^\n]*$"):
        export_model(keras.Model(image, signal), tmp_path / f"net{FORMATS[format]}", format)
    print("heard")
    assert capfd.readouterr().out == "heard\n"


@pytest.mark.skipif(BACKEND != "tensorflow", reason="which computes them by XLA")
def test_groups_of_channels_are_not_written_as_onnx(tmp_path):
    image = keras.Input((8, 8, 4))
    model = keras.Model(image, layers.GroupConv2D(4, 3, groups=2, group="P4", name="grouped")(image))
    with pytest.raises(ValueError, match="'onnx' by Keras on tensorflow: grouped has groups=2; set KERAS_BACKEND"):
        export_model(model, tmp_path / "net.onnx", "onnx")
