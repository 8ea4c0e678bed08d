"""A plain model has no layer of groco, and computes the same numbers."""

import os
import shutil
import subprocess
import sys

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

import groco
from groco import layers
from groco.layers import implementations
from groco.pretrained.manifest import model_folder
from groco.surgery import export_plain
from groco.surgery.folding import fold_batch_norms
from tests.layers.strategies import FAMILIES
from tests.models.test_models import SMALL
from tests.models.trained_like import randomise

CASES = int(os.environ.get("GROCO_EXPORT_CASES", "10"))
NO_COUNTERPART = ("depends on", "pooling of float64")


def check(model, rng, shapes=None, plain=None, tolerance=1e-5):
    """The model that was exported."""
    plain = plain or export_plain(model)
    for layer in plain._flatten_layers():
        assert not type(layer).__module__.startswith("groco"), layer
    assert plain.input_shape == model.input_shape
    assert plain.output_shape == model.output_shape
    shapes = shapes or [tensor.shape[1:] for tensor in model.inputs]
    inputs = [
        rng.normal(size=(2, *shape)).astype(tensor.dtype) for tensor, shape in zip(model.inputs, shapes, strict=True)
    ]
    inputs = keras.tree.pack_sequence_as(plain._inputs_struct, inputs)
    expected, found = (_numpy(m(inputs)) for m in (model, plain))
    assert keras.tree.map_structure(np.shape, found) == keras.tree.map_structure(np.shape, expected)
    for a, b in zip(keras.tree.flatten(expected), keras.tree.flatten(found), strict=True):
        assert np.abs(a).max() > 0
        np.testing.assert_allclose(b, a, atol=tolerance * np.abs(a).max(), rtol=0)
    return plain


# -- layers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_every_layer_has_a_plain_counterpart(family, rng):
    """Drawn as for the property tests: any group, subgroup, size, stride, padding, dilation and data format.

    The layers have a data format of their own, and it does not matter what Keras is set to when they are exported.
    """
    exported = {"known": 0, "unknown": 0}

    @settings(max_examples=CASES, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @hypothesis.given(
        FAMILIES[family], st.sampled_from(("channels_last", "channels_first")), st.sampled_from(("dense", "fourier"))
    )
    def each(case, setting, implementation):
        for sizes in exported:
            exported[sizes] += _check_layer(case, sizes == "unknown", setting, implementation, rng)
            keras.config.set_image_data_format("channels_last")

    each()
    assert exported["known"] > CASES / 3, "hardly any was taken"
    assert exported["unknown"] > CASES / 10, "hardly any was taken"


def _check_layer(case, unknown, setting, implementation, rng):
    kwargs = {**case.kwargs, "dtype": case.kwargs["dtype"].replace("mixed_bfloat16", "float32")}
    if kwargs["dtype"] == "mixed_float16":
        kwargs["dtype"] = "float32"
    shape = case.input_shape[1:]
    try:
        layer = case.layer(**kwargs)
        first = int(layer.data_format == "channels_first")
        rank = layer.rank if hasattr(layer, "rank") else case.measure["group"].ndim
        axes = [None if unknown and first <= i < first + rank else size for i, size in enumerate(shape)]
        inputs = keras.Input(axes, dtype=layer.compute_dtype)
        model = keras.Model(inputs, layer(inputs, **case.call))
        randomise(model, rng)
        model(np.zeros((2, *shape), layer.compute_dtype))
    except ValueError:
        return False  # the layer refuses the case
    keras.config.set_image_data_format(setting)
    try:
        plain = export_plain(model, implementation=implementation)
    except ValueError as error:
        assert f"(name={layer.name!r}) cannot be exported" in str(error)
        assert any(reason in str(error) for reason in NO_COUNTERPART)
        assert unknown or "pooling of" in str(error)
        return False
    check(model, rng, [shape], plain)
    return True


def test_padding_of_a_line_where_keras_is_set_to_channels_first(rng):
    inputs = keras.Input((6, 3))
    padded = layers.GroupZeroPadding1D(2, group="PM", data_format="channels_last")(inputs)
    convolved = layers.GroupConv1D(2, 3, dilation_rate=2, padding="same", group="PM", data_format="channels_last")
    model = keras.Model(inputs, [padded, convolved(padded)])
    keras.config.set_image_data_format("channels_first")
    check(model, rng)


def _on_group(group="P4M", channels=4, size=6, data_format=None):
    shape = (size, size, 3) if data_format != "channels_first" else (3, size, size)
    inputs = keras.Input(shape)
    return inputs, layers.GroupConv2D(channels, 3, group=group, data_format=data_format)(inputs)


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.BatchNormalization(),
        layers.GroupBatchNormalization(),
        keras.layers.LayerNormalization(),
        keras.layers.GroupNormalization(2),
        keras.layers.UnitNormalization(),
        keras.layers.UnitNormalization(axis=(-2, -1)),
        keras.layers.Dense(5, activation="softmax"),
        keras.layers.Softmax(),
        keras.layers.Activation("gelu"),
        keras.layers.Activation("softmax"),
        keras.layers.PReLU(shared_axes=[1, 2, 3]),
        keras.layers.ReLU(max_value=1.0),
        keras.layers.Dropout(0.5),
        keras.layers.Dropout(0.5, noise_shape=(None, 1, 1, 1, None)),
        keras.layers.SpatialDropout3D(0.5),
        keras.layers.Rescaling(2.0, 1.0),
        keras.layers.Reshape((4, 4, 32)),
        keras.layers.Flatten(),
        keras.layers.GlobalAveragePooling3D(),
    ],
    ids=lambda layer: layer.name,
)
def test_keras_own_layers_on_the_group_axis(layer, rng):
    inputs, x = _on_group()
    y = type(layer).from_config(layer.get_config())(x)
    if len(y.shape) == 5:
        y = layers.GroupConv2D(2, 3, group="P4M")(y)
    model = keras.Model(inputs, y)
    randomise(model, rng)
    check(model, rng)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_merging_layers(data_format, rng):
    """Concatenated channels have another order than the original's, which the layers after it know."""
    axis = -1 if data_format == "channels_last" else 1
    group = {"group": "P4", "data_format": data_format}
    inputs, x = _on_group("P4", 4, data_format=data_format)
    y = layers.GroupConv2D(4, 1, **group, groups=2, activation="softmax")(x)
    both = keras.layers.Concatenate(axis=axis)([x, y])
    both = keras.layers.BatchNormalization(axis=axis)(both)
    first = layers.GroupConv2D(8, 1, **group)(both)
    total = keras.layers.Add()([both, first, keras.layers.Multiply()([first, both])])
    total = keras.layers.Maximum()([total, keras.layers.Average()([both, first])])
    pooled = layers.GroupMaxPooling2D(1, **group, subgroup="P2")(total)
    restricted = layers.GroupRestriction2D(**group, subgroup="P2")(both)
    on_p2 = keras.layers.Concatenate(axis=axis)([pooled, restricted])
    on_p2 = layers.DepthwiseGroupConv2D(3, group="P2", data_format=data_format)(on_p2)
    scale = layers.GlobalGroupAveragePooling2D(group="P2", data_format=data_format, keepdims=True)(on_p2)
    scaled = keras.layers.Multiply()([on_p2, scale])  # with broadcasting
    flat = layers.GlobalGroupMaxPooling2D(group="P2", subgroup="P2", data_format=data_format)(scaled)
    fibre = layers.GroupDense(3, group="P2", ndim=2, data_format=data_format)(flat)
    model = keras.Model(inputs, [total, on_p2, fibre, keras.ops.sum(on_p2 * 2, axis=axis)])
    randomise(model, rng)
    check(model, rng)


def test_activations_that_see_the_channels(rng):
    inputs, x = _on_group()
    outputs = [
        layers.GroupConv2D(4, 3, group="P4M", activation="softmax")(x),
        layers.GroupConv2D(4, 3, group="P4M", activation=lambda y: y / (1 + keras.ops.sum(y**2, -1, keepdims=True)))(x),
        layers.GroupConv2DTranspose(4, 3, strides=2, padding="same_equiv", group="P4M", activation="log_softmax")(x),
        layers.DepthwiseGroupConv2D(3, group="P4M", activation="sparsemax")(x),
        layers.SeparableGroupConv2D(4, 3, group="P4M", activation="softmax", factorization="gc")(x),
    ]
    model = keras.Model(inputs, outputs)
    randomise(model, rng)
    check(model, rng)


def test_transposed_convolutions_that_add_zeros_add_the_bias_to_them(rng):
    inputs, x = _on_group("P4")
    more = layers.GroupConv2DTranspose(3, 1, strides=3, padding="same_equiv", group="P4", activation="sigmoid")
    model = keras.Model(inputs, more(x))
    randomise(model, rng)
    check(model, rng)


# -- implementations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(None, None), (None, 8), (8, 6)])
@pytest.mark.parametrize("group", ["P2MM", "P4M"])
def test_the_fourier_basis(group, size, rng):
    """Of every layer that reads the group, with fewer weights: a dense layer for each flip or irrep."""
    inputs = keras.Input((*size, 2))
    options = {"group": group, "bias_initializer": "random_normal"}
    x = layers.GroupConv2D(3, 3, padding="same", **options)(inputs)
    x = layers.GroupConv2D(4, 3, padding="same", activation="relu", **options)(x)
    x = layers.GroupBatchNormalization()(x)
    x = layers.GroupConv2D(4, 1, activation="softmax", **options)(x)
    x = layers.SeparableGroupConv2D(5, 3, padding="same", factorization="gc", **options)(x)
    x = layers.SeparableGroupConv2D(4, 3, padding="same", **options)(x)
    x = layers.SeparableGroupConv2D(3, 3, padding="same", factorization="g", **options)(x)
    x = layers.GlobalGroupAveragePooling2D(group=group, subgroup=group)(x)
    model = keras.Model(inputs, layers.GroupDense(2, ndim=2, **options)(x))
    randomise(model, rng)
    plain, dense = (export_plain(model, implementation=implementation) for implementation in ("fourier", "dense"))
    check(model, rng, [(8, 8 if size[1] == 8 else 6, 2)], plain)
    blocks = sum(type(layer) is keras.layers.Dense for layer in plain.layers)
    assert blocks == 2 * 4 + 4 * {"P2MM": 4, "P4M": 5}[group]
    assert plain.count_params() < dense.count_params()


def _weighted(plain):
    return {layer.name for layer in plain.layers if layer.weights}


@pytest.mark.parametrize(
    ("kernel_size", "size", "options", "dense"),
    [
        (3, (9, 9), {"padding": "valid"}, False),
        (3, (None, 9), {"padding": "same"}, False),
        (3, (9, None), {"padding": "valid"}, True),  # it refuses smaller images
        (3, (None, None), {"padding": "same", "strides": 2, "allow_non_equivariance": True}, True),  # Keras has to pad
        (1, (None, None), {"padding": "same", "strides": 2, "allow_non_equivariance": True}, False),
    ],
)
def test_what_is_left_to_a_convolution_of_keras(kernel_size, size, options, dense, rng):
    inputs = keras.Input((*size, 4, 3))
    model = keras.Model(inputs, layers.GroupConv2D(2, kernel_size, group="P4", name="conv", **options)(inputs))
    plain = export_plain(model, implementation="fourier")
    check(model, rng, [(9, 9, 4, 3)], plain)
    parts = {f"conv_character{i}" for i in range(2)} if kernel_size == 3 else {f"conv_irrep{i}" for i in range(3)}
    assert _weighted(plain) == ({"conv"} if dense else parts)
    if options == {"padding": "valid"} and dense:
        with pytest.raises(Exception):  # noqa: B017, PT011, each backend has its own
            _numpy(plain(np.zeros((1, 9, 2, 4, 3), "float32")))


@pytest.mark.parametrize(
    "make",
    [
        lambda **kw: layers.GroupConv2D(2, 1, **kw),
        lambda **kw: layers.GroupConv2D(2, 3, **kw),
        lambda **kw: layers.GroupConv2D(2, 3, padding="same", **kw),
        lambda **kw: layers.GroupConv2D(2, 3, strides=2, padding="same_equiv", **kw),
        lambda **kw: layers.SeparableGroupConv2D(2, 3, factorization="g", **kw),
        lambda **kw: layers.SeparableGroupConv2D(2, 3, **kw),
        lambda **kw: layers.GroupDense(2, **kw),
    ],
)
def test_biases_in_the_fourier_basis_are_weights(make, rng):
    """Weights of one export fit another of the same net."""
    nets, plain = [], []
    for _ in range(2):
        inputs = keras.Input((9, 7, 4, 3))
        nets.append(keras.Model(inputs, make(group="P4")(inputs)))
        for weight in nets[-1].weights:
            weight.assign(rng.normal(size=weight.shape))
        plain.append(export_plain(nets[-1], implementation="fourier"))
    assert any("irrep" in name or "character" in name for name in _weighted(plain[0]))
    plain[1].set_weights(plain[0].get_weights())
    check(nets[0], rng, plain=plain[1])


def test_auto_is_what_the_layers_use(monkeypatch, rng):
    used = []
    monkeypatch.setattr(implementations, "is_faster", lambda *shape: used.append(shape) or shape[4] == 3)
    inputs = keras.Input((6, 6, 4, 3))
    x = layers.GroupConv2D(5, 1, group="P4", name="narrow")(inputs)
    x = layers.GroupConv2D(4, 1, group="P4", name="wide")(x)
    x = layers.GroupConv2D(3, 1, group="P4", implementation="fourier", name="asked")(x)
    model = keras.Model(inputs, layers.GroupConv2D(2, 1, group="P4", implementation="dense", name="refused")(x))
    plain = check(model, rng, plain=export_plain(model, implementation="auto"))
    assert used
    assert _weighted(plain) == {f"{name}_irrep{i}" for name in ("narrow", "asked") for i in range(3)} | {
        "wide",
        "refused",
    }
    with pytest.raises(ValueError, match="implementation is one of auto, dense, fourier, got 'fast'"):
        export_plain(model, implementation="fast")


# -- models ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", groco.list_pretrained())
@pytest.mark.parametrize("fold", [False, True])
def test_trained_models(name, fold):
    with np.load(model_folder(name) / "golden.npz") as golden:
        inputs = groco.preprocessor(name)(golden["images"])
    model = groco.from_pretrained(name)
    plain = export_plain(model, fold_batch_norm=fold)
    assert all(type(layer).__module__.startswith("keras.") for layer in plain.layers)
    norms, left = (
        sum(isinstance(layer, keras.layers.BatchNormalization) for layer in net.layers) for net in (model, plain)
    )
    if not fold:
        assert left == norms
    elif "resnet" in name:  # most norms stand before the convolutions there
        assert 0 < left < norms
    else:
        assert left == 0
    expected, found = (_numpy(m(inputs)) for m in (model, plain))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max(), rtol=0)


@pytest.mark.parametrize("small", SMALL, ids=lambda small: f"{small.name}-{small.group}")
def test_every_architecture(small, rng):
    model = small.build()
    randomise(model, rng)
    check(model, rng, plain=fold_batch_norms(check(model, rng)), tolerance=1e-4)


@pytest.mark.parametrize("name", ["p4m_convnext", "p4m_densenet", "p4m_unet", "o_resnet3d"])
def test_architectures_in_the_fourier_basis(name, rng):
    small = next(small for small in SMALL if small.name == name)
    model = small.build()
    randomise(model, rng)
    plain = check(model, rng, plain=export_plain(model, implementation="fourier"))
    assert any("irrep" in name or "character" in name for name in _weighted(plain))
    check(model, rng, plain=fold_batch_norms(plain), tolerance=1e-4)


@pytest.mark.parametrize("name", ["z2_allcnn", "p4_allcnn", "p4m_resnet110", "p4m_wide_resnet16_4", "o_resnet3d"])
def test_strided_architectures_of_unknown_sizes(name, rng):
    small = next(small for small in SMALL if small.name == name)
    model = small.build(input_shape=(*(None,) * small.ndim, 2))
    randomise(model, rng)
    plain = export_plain(model)
    for size in small.sizes:
        if not any(n % 2 for n in size):  # which a net for unknown sizes is made for
            check(model, rng, [(*size, 2)], plain)


def test_features_on_the_group(rng):
    model = groco.create_model("p4m_resnet20", input_shape=(8, 8, 2), widths=(2, 3, 2), depth=8, include_top=False)
    randomise(model, rng)
    assert check(model, rng).output_shape == (None, 2, 2, 8, 2)


def test_signals_on_the_group_as_inputs(rng):
    signal, vector = keras.Input((6, 6, 4, 3), name="signal"), keras.Input((2,), name="vector")
    x = layers.GroupConv2D(2, 3, group="P4")(signal)
    x = keras.layers.Concatenate()([layers.GlobalGroupMaxPooling2D(group="P4")(x), vector])
    model = keras.Model({"signal": signal, "vector": vector}, {"x": x, "same": signal})
    randomise(model, rng)
    plain = check(model, rng)
    assert [tensor.name for tensor in plain.inputs] == [tensor.name for tensor in model.inputs]


def test_shared_layers_stay_shared(rng):
    first, second = keras.Input((6, 6, 3)), keras.Input((6, 6, 3))
    lift, conv = layers.GroupConv2D(2, 3, group="P4"), layers.GroupConv2D(2, 3, group="P4", padding="same")
    norm, head = keras.layers.BatchNormalization(), keras.layers.Dense(2)
    ends = [head(layers.GlobalGroupMaxPooling2D(group="P4")(norm(conv(conv(lift(x)))))) for x in (first, second)]
    model = keras.Model([first, second], keras.layers.Subtract()(ends))
    randomise(model, rng)
    plain = check(model, rng)
    kinds = [type(layer) for layer in plain.layers]
    assert kinds.count(keras.layers.Conv2D) == 2
    assert kinds.count(keras.layers.BatchNormalization) == kinds.count(keras.layers.Dense) == 1
    check(model, rng, plain=fold_batch_norms(plain))


def test_norms_behind_a_border_that_is_taken_away(rng):
    inputs = keras.Input((5, 6, 2))
    signal = layers.GroupConv2DTranspose(3, 4, strides=2, padding="same", group="P4")(inputs)
    outputs = keras.layers.ReLU()(layers.GroupBatchNormalization()(signal))
    plain = check(keras.Model(inputs, outputs), rng)
    folded = check(keras.Model(inputs, outputs), rng, plain=fold_batch_norms(plain))
    kinds = [[type(layer) for layer in net.layers] for net in (plain, folded)]
    assert keras.layers.Cropping2D in kinds[0]
    assert [keras.layers.BatchNormalization in each for each in kinds] == [True, False]


def test_layers_that_cannot_be_made_again():
    class Shift(keras.layers.Layer):
        def __init__(self, by):
            super().__init__(name="shift")
            self.by = by

        def call(self, inputs):
            return keras.ops.add(inputs, self.by)

    inputs = keras.Input((6, 6, 1))
    model = keras.Model(
        inputs,
        Shift(np.ones(4))(layers.GlobalGroupMaxPooling2D(group="P4")(layers.GroupConv2D(4, 3, group="P4")(inputs))),
    )
    with pytest.raises(ValueError, match=r"Shift \(name='shift'\) cannot be exported: it has no get_config"):
        export_plain(model)


def test_models_inside_models(rng):
    block = keras.Sequential([layers.GroupConv2D(3, 3, group="P4", padding="same"), keras.layers.ReLU()], name="block")
    inputs = keras.Input((6, 6, 4, 3))
    inner = keras.Model(inputs, [block(inputs), inputs], name="inner")
    planar = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2)], name="planar")
    image = keras.Input((6, 6, 3))
    x, skip = inner(layers.GroupConv2D(3, 1, group="P4")(image))
    x, _ = inner(keras.layers.Add()([x, skip]))
    model = keras.Model(image, planar(layers.GlobalGroupAveragePooling2D(group="P4")(x)))
    randomise(model, rng)
    plain = check(model, rng)
    assert plain.get_layer("planar").count_params() == planar.count_params()
    sequential = keras.Sequential([image, layers.GroupConv2D(2, 3, group="P4"), keras.layers.BatchNormalization()])
    randomise(sequential, rng)
    check(sequential, rng, plain=export_plain(sequential, fold_batch_norm=True))


def test_arguments_of_calls(rng):
    """A normalisation that always takes the statistics of the batch takes those of whole group channels."""
    inputs = keras.Input((6, 6, 3))
    x = layers.GroupConv2D(2, 3, group="P4")(inputs=inputs)
    x = keras.layers.BatchNormalization()(x, training=True)
    x = layers.GroupBatchNormalization()(keras.layers.ReLU()(x), training=True)
    x = keras.layers.BatchNormalization()(layers.GroupConv2D(2, 3, group="P4")(x), training=False)
    model = keras.Model(inputs, x)
    randomise(model, rng)
    check(model, rng)


def test_a_model_called_in_inference(rng):
    """As Keras' guide on transfer learning calls the trained part."""
    base = groco.create_model("p4cnn", input_shape=(28, 28, 1), include_top=False, width=2)
    inputs = keras.Input((28, 28, 1))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(base(inputs, training=False))))
    randomise(model, rng)
    check(model, rng)
    always = keras.Model(inputs, base(inputs, training=True))
    with pytest.raises(ValueError, match="p4cnn cannot be exported: it is called with training=True"):
        export_plain(always)


def test_preprocessing_layers_keep_what_they_have_adapted_to(rng):
    norm, inner = keras.layers.Normalization(), keras.layers.Normalization()
    for layer in (norm, inner):
        layer.adapt(5 + 3 * rng.normal(size=(20, 6, 6, 3)).astype("float32"))
    inputs = keras.Input((6, 6, 3))
    x = layers.GroupConv2D(2, 3, group="P4")(norm(keras.Sequential([inner])(inputs)))
    check(keras.Model(inputs, x), rng)


@pytest.mark.parametrize("nested", [False, True])
def test_augmentation_is_off_as_in_inference(nested, rng):
    augment = keras.layers.RandomTranslation(0.4, 0.4)
    inputs = keras.Input((6, 6, 3))
    x = (keras.Sequential([augment]) if nested else augment)(inputs)
    model = keras.Model(inputs, layers.GroupConv2D(2, 3, group="P4")(x))
    images = rng.normal(size=(2, 6, 6, 3)).astype("float32")
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(_numpy(export_plain(model)(images)), expected, atol=1e-5)


@pytest.mark.parametrize("nested", [False, True])
def test_functions_in_layers(nested, rng):
    layer = keras.layers.Lambda(lambda t, factor: t * factor, arguments={"factor": 2.0}, name="twice")
    inputs = keras.Input((6, 6, 3))
    x = (keras.Sequential([layer]) if nested else layer)(inputs)
    check(keras.Model(inputs, layers.GroupConv2D(2, 3, group="P4")(x)), rng)


def test_layers_of_users_with_an_activation_of_another_name(rng):
    class Scaled(keras.layers.Layer):
        def __init__(self, activation="relu", **kwargs):
            super().__init__(**kwargs)
            self.act = keras.activations.get(activation)

        def call(self, inputs):
            return self.act(2 * inputs)

        def get_config(self):
            return {**super().get_config(), "activation": keras.activations.serialize(self.act)}

    inputs = keras.Input((6, 6, 3))
    check(keras.Model(inputs, layers.GroupConv2D(2, 3, group="P4")(Scaled()(inputs))), rng)


def test_names_that_keras_gives_do_not_collide(rng):
    """Layers of a loaded model may have the names that Keras gives next."""
    inputs = keras.Input((6, 6, 3))
    x = layers.GroupConv2D(2, 3, group="P4", name="take")(inputs)
    for number in range(1, 4):
        name = keras.layers.Reshape((4, 4, 8)).name.rpartition("_")
        following = f"{name[0]}_{int(name[2]) + number}" if name[2].isdigit() else f"reshape_{number}"
        x = keras.layers.Identity(name=following)(x)
    outputs = [x, layers.GroupMaxPooling2D(1, group="P4", subgroup="P2")(x), keras.layers.LayerNormalization()(x)]
    check(keras.Model(inputs, outputs), rng)


def test_precision_of_what_is_between_the_layers():
    inputs = keras.Input((3, None, 6), dtype="float64")
    options = {"group": "P4", "data_format": "channels_first", "dtype": "float64"}
    x = layers.GroupConv2D(2, 3, **options)(inputs)
    x = keras.layers.Softmax(axis=1, dtype="float64")(x)
    plain = export_plain(keras.Model(inputs, layers.GroupMaxPooling2D(1, subgroup="P2", **options)(x)))
    assert {tensor.dtype for operation in plain.operations for tensor in keras.tree.flatten(operation.output)} == {
        "float64"
    }


def test_depthwise_convolutions_of_bfloat16(rng):
    inputs = keras.Input((6, 6, 4, 3))
    x = layers.DepthwiseGroupConv2D(3, group="P4", dtype="bfloat16")(inputs)
    model = keras.Model(inputs, keras.layers.Activation("linear", dtype="float32")(x))
    check(model, rng, tolerance=0.02)


def test_activations_of_other_functions_are_folded_past(rng):
    def unknown(x):
        return keras.ops.sin(x)

    inputs = keras.Input((6, 6, 2))
    x = layers.GroupBatchNormalization()(layers.GroupConv2D(3, 3, group="P4")(inputs))
    x = layers.GroupConv2D(3, 3, group="P4", activation=unknown)(keras.layers.Activation(unknown)(x))
    model = keras.Model(inputs, x)
    randomise(model, rng)
    check(model, rng, plain=export_plain(model, fold_batch_norm=True))


def test_names_weights_and_precision(rng):
    model = groco.create_model("p4cnn", width=2)
    model.get_layer("conv2").trainable = False
    randomise(model, rng)
    plain = check(model, rng)
    assert {layer.name for layer in model.layers} <= {layer.name for layer in plain.layers}
    assert plain.get_layer("conv2").kernel.shape == (3, 3, 8, 8)
    assert not plain.get_layer("conv2").trainable
    before = _numpy(model(np.ones((1, 28, 28, 1))))
    for weight in plain.weights:
        weight.assign(weight * 0)
    np.testing.assert_array_equal(_numpy(model(np.ones((1, 28, 28, 1)))), before)
    keras.config.set_dtype_policy("mixed_bfloat16")
    half = export_plain(groco.create_model("p4cnn", width=2))
    assert half.get_layer("conv1").compute_dtype == half.get_layer("norm1").compute_dtype == "bfloat16"


# -- without groco -----------------------------------------------------------------------------------------------------

LOADER = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "groco":
            raise ImportError("groco is blocked")
sys.meta_path.insert(0, Blocked())
import keras, numpy as np
for name in sys.argv[1:]:
    model = keras.saving.load_model(name + ".keras")
    inputs = dict(np.load(name + ".npz"))
    expected = inputs.pop("expected")
    found = keras.ops.convert_to_numpy(model(inputs["inputs"]))
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max(), name
assert not any(name.split(".")[0] == "groco" for name in sys.modules)
"""


def test_loads_where_groco_is_not(tmp_path, rng):
    """Among them nets of unknown sizes, in which operations of Keras stand for some layers."""
    names = ("p4_unet", "p4m_convnext", "p4m_densenet", "o_unet3d")
    nets = {"p4cnn": (groco.from_pretrained("p4cnn.rotmnist"), (28, 28, 1))}
    for small in SMALL:
        if small.name in names:
            nets[small.name] = small.build(input_shape=(*(None,) * small.ndim, 2)), (*small.sizes[0], 2)
            randomise(nets[small.name][0], rng)
    for name, (model, shape) in nets.items():
        inputs = rng.normal(size=(2, *shape)).astype("float32")
        np.savez(tmp_path / f"{name}.npz", inputs=inputs, expected=_numpy(model(inputs)))
        shutil.copy(tmp_path / f"{name}.npz", tmp_path / f"{name}-fourier.npz")
        export_plain(model).save(tmp_path / f"{name}.keras")
        export_plain(model, implementation="fourier").save(tmp_path / f"{name}-fourier.keras")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-c", LOADER, *(str(path.with_suffix("")) for path in tmp_path.glob("*.keras"))]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


# -- what cannot be exported -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fold", [False, True])
def test_operations_with_arrays_of_numpy(fold):
    """Keras computes with them and cannot write them down."""
    inputs = keras.Input((8, 8, 3))
    turned = layers.GroupConv2D(4, 3, group="P4M", padding="same")(inputs)
    model = keras.Model(inputs, keras.ops.repeat(turned, np.array([2]), axis=-1))
    with pytest.raises(ValueError, match=r"operation Repeat cannot be exported: [^\n]*; give it numbers or lists\.$"):
        export_plain(model, fold_batch_norm=fold)
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model = keras.Model(plain.inputs, keras.ops.repeat(plain.outputs[0], np.array([2]), axis=-1))
    with pytest.raises(ValueError, match="the operation Repeat cannot be exported"):
        fold_batch_norms(model)


def test_an_activation_of_fewer_channels():
    inputs = keras.Input((8, 8, 3))
    layer = layers.GroupConv2D(4, 3, group="P4M", padding="same", activation="glu", name="gated")
    with pytest.raises(ValueError, match=r"\(name='gated'\) cannot be exported: its activation makes signals [^\n]*$"):
        export_plain(keras.Model(inputs, layer(inputs)))


def test_what_cannot_be_exported_says_so():
    class Mine(layers.GroupConv2D):
        def call(self, inputs):
            return 2 * super().call(inputs)

    inputs = keras.Input((6, 6, 3))
    with pytest.raises(
        ValueError, match=r"Mine \(name='mine'\) cannot be exported: its own call may compute something"
    ):
        export_plain(keras.Model(inputs, Mine(2, 3, group="P4", name="mine")(inputs)))

    class Subclassed(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ValueError, match="only functional and sequential models are"):
        export_plain(Subclassed())
    with pytest.raises(ValueError, match="has no inputs yet"):
        export_plain(keras.Sequential([layers.GroupConv2D(2, 3, group="P4")]))
    video = keras.Input((5, 6, 6, 3))
    wrapped = keras.layers.TimeDistributed(layers.GroupConv2D(2, 3, group="P4"), name="over_time")
    with pytest.raises(ValueError, match=r"TimeDistributed \(name='over_time'\) cannot be exported"):
        export_plain(keras.Model(video, wrapped(video)))


@pytest.mark.parametrize("kind", [keras.Model, keras.Sequential])
def test_models_without_layers_of_groco_and_with_a_call_of_their_own(kind, rng):
    """Inside the model. Those that are no graph of layers are made from their configuration."""

    class Scaled(kind):
        def call(self, inputs, training=None, mask=None):
            return super().call(inputs / 255.0)

    inputs, layer = keras.Input((6, 6, 3)), keras.layers.Conv2D(3, 1)
    inside = Scaled([inputs, layer]) if kind is keras.Sequential else Scaled(inputs, layer(inputs))
    with pytest.raises(ValueError, match="is a Scaled with a call of its own"):
        export_plain(keras.Model(inputs, layers.GroupConv2D(2, 3, group="P4")(inside(inputs))))

    class Subclassed(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = keras.layers.Dense(3)

        def call(self, inputs):
            return self.dense(inputs)

        def get_config(self):
            return {"name": self.name}

    check(keras.Model(inputs, layers.GroupConv2D(2, 3, group="P4")(Subclassed()(inputs))), rng)


def test_models_inside_get_their_inputs_as_they_arrange_them(rng):
    """By name, and in the precision of the input."""
    signal, mask = keras.Input((6, 6, 3), name="signal"), keras.Input((6, 6, 3), name="mask")
    lifted = layers.GroupConv2D(2, 3, group="P4", padding="same")(keras.layers.Subtract()([signal, mask]))
    inside = keras.Model([signal, mask], lifted)
    one, other = keras.Input((6, 6, 3)), keras.Input((6, 6, 3), dtype="uint8")
    check(keras.Model([one, other], inside({"mask": other, "signal": one})), rng)
    with pytest.raises(ValueError, match="is called without 'mask', got"):
        groco.models.graph.arranged(inside, {"signal": one})
    with pytest.raises(ValueError, match="is called on 1 tensors, it has 2 inputs"):
        groco.models.graph.arranged(inside, [one])


def test_activations_with_weights_are_copies(rng):
    image = keras.Input((6, 6, 3))
    slopes = [keras.layers.PReLU(shared_axes=axes, alpha_initializer="random_normal") for axes in ([1, 2, 3], [1])]
    x = layers.GroupConv2D(2, 3, group="P4", activation=slopes[0])(image)
    x = layers.GlobalGroupAveragePooling2D(group="P4")(x)
    model = keras.Model(image, keras.layers.Dense(3, activation=slopes[1])(x))
    with pytest.raises(ValueError, match=r"PReLU .* cannot be exported: .* has other weights"):
        export_plain(model)  # they have none before they are called
    model(np.zeros((1, 6, 6, 3), "float32"))
    plain = check(model, rng)
    own = {id(weight) for layer in (model, *slopes) for weight in layer.weights}
    assert not own & {id(weight) for weight in plain.weights}
    assert len([weight for weight in plain.weights if "alpha" in weight.path]) == 2


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("kind", [keras.Model, keras.Sequential])
def test_models_with_a_call_of_their_own_are_not_exported_as_if_they_had_none(kind, nested):
    class Scaled(kind):
        def call(self, inputs, training=None, mask=None):
            return super().call(inputs / 255.0)

    inputs, layer = keras.Input((6, 6, 3)), layers.GroupConv2D(2, 3, group="P4")
    model = Scaled([inputs, layer]) if kind is keras.Sequential else Scaled(inputs, layer(inputs))
    if nested:
        model = keras.Model(inputs, model(inputs))
    with pytest.raises(ValueError, match="is a Scaled with a call of its own"):
        export_plain(model)


def test_subclasses_that_override_what_a_layer_computes_with():
    class Minimum(layers.GlobalGroupMaxPooling2D):
        _reduce = staticmethod(keras.ops.min)

    class Centred(layers.GroupBatchNormalization):
        def call(self, inputs, training=None, mask=None):
            return super().call(inputs, training=training) - 1

    inputs = keras.Input((6, 6, 4, 3))
    for layer, message in ((Minimum(group="P4"), "its own .*_reduce"), (Centred(), "its own call may compute")):
        with pytest.raises(ValueError, match=message):
            export_plain(keras.Model(inputs, layer(inputs)))


def test_a_norm_that_is_a_subclass_in_name_only(rng):
    class Named(layers.GroupBatchNormalization):
        pass

    inputs = keras.Input((6, 6, 4, 3))
    model = keras.Model(inputs, Named()(inputs))
    randomise(model, rng)
    check(model, rng)


def test_masks_that_do_not_get_through_are_not_forgotten(rng):
    inputs, mask = keras.Input((6, 3)), keras.Input((6,), dtype="bool")
    lifted = layers.GroupLifting1D(group="PM")(keras.layers.Masking()(inputs))
    dense = keras.layers.LayerNormalization()(layers.GroupDense(2, group="PM", ndim=1)(lifted))
    pool = layers.GlobalGroupAveragePooling1D(group="PM", name="mean")
    given = keras.Model([inputs, mask], pool(layers.GroupLifting1D(group="PM")(inputs), mask=mask))
    for model in (keras.Model(inputs, pool(dense)), given):
        with pytest.raises(ValueError, match="mean cannot be exported: it is a mean over the steps that a mask leaves"):
            export_plain(model)
    check(keras.Model(inputs, pool(layers.GroupLifting1D(group="PM")(inputs))), rng)


def test_padding_that_depends_on_unknown_sizes():
    inputs = keras.Input((None, None, 3))
    layer = layers.GroupConv2D(2, 2, strides=3, group="P4", name="strided")
    with pytest.raises(ValueError, match=r"'strided'.*padding depends on the height.*built for known sizes"):
        export_plain(keras.Model(inputs, layer(inputs)))


def test_a_subclass_that_only_adds_methods(rng):
    class Named(layers.GroupConv2D):
        def describe(self):
            return self.name

    inputs = keras.Input((6, 6, 3))
    check(keras.Model(inputs, Named(2, 3, group="P4")(inputs)), rng)


# -- folding -----------------------------------------------------------------------------------------------------------


def test_folding_leaves_what_it_may_not_touch(rng):
    """Norms that read something else than one linear layer, or whose input is read elsewhere, stay."""
    inputs = keras.Input((6, 6, 3))

    def conv(x, **kwargs):
        return keras.layers.Conv2D(4, 3, padding="same", **kwargs)(x)

    norm = keras.layers.BatchNormalization
    shared = conv(inputs)
    outputs = {
        "folded": norm()(conv(inputs, use_bias=False)),
        "depthwise": norm(scale=False)(keras.layers.DepthwiseConv2D(3, depth_multiplier=2)(inputs)),
        "transposed": norm(center=False)(keras.layers.Conv2DTranspose(5, 3, strides=2)(inputs)),
        "dense": norm()(keras.layers.Dense(5)(inputs)),
        "activated": norm()(conv(inputs, activation="relu")),
        "other axis": norm(axis=1)(conv(inputs)),
        "read twice": norm()(shared) + shared,
        "pooled": norm()(keras.layers.MaxPooling2D()(inputs)),
        "other precision": norm()(conv(inputs, dtype="float64")),
    }
    model = keras.Model(inputs, list(outputs.values()))
    randomise(model, rng)
    plain = fold_batch_norms(model)
    check(model, rng, plain=plain)
    assert sum(isinstance(layer, norm) for layer in plain.layers) == 5
    # One that takes the statistics of the batch; Keras calls all others in its model so as well.
    model = keras.Model(inputs, norm()(conv(inputs), training=True))
    randomise(model, rng)
    assert isinstance(check(model, rng, plain=fold_batch_norms(model)).layers[-1], norm)


def test_layers_with_adapters_are_not_folded_into(rng):
    inputs, dense = keras.Input((6,)), keras.layers.Dense(5)
    model = keras.Model(inputs, keras.layers.BatchNormalization()(dense(inputs)))
    dense.enable_lora(2)
    randomise(model, rng)
    assert any(isinstance(layer, keras.layers.BatchNormalization) for layer in fold_batch_norms(model).layers)


def _numpy(outputs):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, outputs)


def test_softmax_of_volumes(rng):
    volumes = keras.Input((4, 4, 4, 2))
    x = layers.GroupConv3D(4, 3, group="C4", activation="softmax")(volumes)
    x = layers.GroupConv3D(3, 1, group="C4", activation="softmax", data_format="channels_last")(x)
    check(keras.Model(volumes, x), rng)


@keras.saving.register_keras_serializable()
class _Added(keras.layers.Layer):
    def call(self, x, y=None):
        return x if y is None else x + y

    def compute_output_shape(self, x_shape, y_shape=None):
        return x_shape


def test_an_optional_input_stays_optional(rng):
    image, other = keras.Input((8, 8, 3)), keras.Input((6, 6, 4, 2), optional=True)
    model = keras.Model([image, other], _Added()(layers.GroupConv2D(2, 3, group="P4")(image), other))
    plain = check(model, rng)
    image = rng.normal(size=(1, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(_numpy(plain([image, None])), _numpy(model([image, None])), atol=1e-5)
