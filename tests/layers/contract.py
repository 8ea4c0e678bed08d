"""What every layer must do besides being right: one helper takes each through all of it."""

import pickle

import keras
import numpy as np

TOLERANCE = 1e-5


def check_layer(cls, kwargs, input_shape, *, trainable_weights, other_weights=0, sizes_may_be_unknown=True, tmp_path):
    """Takes a layer through shapes, configs, saving, dtypes, data formats and a training step.

    Args:
        input_shape: of one example, without the batch axis, channels_last.
        trainable_weights: how many trainable weights the layer has.
        other_weights: how many others it has, which training changes too.
        sizes_may_be_unknown: whether spatial sizes may be None when a model is built.
    """
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(2, *input_shape)).astype("float32")
    layer = cls(**kwargs)
    outputs = _numpy(layer(inputs))
    assert len(layer.trainable_weights) == trainable_weights
    assert len(layer.non_trainable_weights) == other_weights
    scale = np.abs(outputs).max()

    # Shapes: what is computed is what comes out, before and after the layer is built, batch known or not.
    assert cls(**kwargs).compute_output_shape(inputs.shape) == outputs.shape
    assert layer.compute_output_shape((None, *input_shape)) == (None, *outputs.shape[1:])

    if keras.backend.backend() == "tensorflow":  # an image that is optimised
        import tensorflow as tf

        np.testing.assert_array_equal(_numpy(layer(tf.Variable(inputs))), outputs)

    # Configs: plain data, and nothing is lost.
    _check_config(layer, kwargs)

    # A whole model: saved and loaded, cloned, pickled; it computes the same.
    image = keras.Input(input_shape)
    model = keras.Model(image, cls(**kwargs, name="tested")(image))
    expected = _numpy(model(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("tested").get_config() == model.get_layer("tested").get_config()
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    for copy in (loaded, clone, pickle.loads(pickle.dumps(model))):
        np.testing.assert_allclose(_numpy(copy(inputs)), expected, atol=TOLERANCE * scale)
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = keras.models.clone_model(model)
    fresh.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(_numpy(fresh(inputs)), expected, atol=TOLERANCE * scale)

    # Unknown spatial sizes, symbolic at first and known when called; in a compiled function as well.
    if sizes_may_be_unknown:
        rank = cls.rank
        image = keras.Input((*(None,) * rank, *input_shape[rank:]))
        anysize = keras.Model(image, cls(**kwargs)(image))
        anysize.set_weights(model.get_weights())
        np.testing.assert_allclose(_numpy(anysize(inputs)), expected, atol=TOLERANCE * scale)
        np.testing.assert_allclose(anysize.predict(inputs, verbose=0), expected, atol=2 * TOLERANCE * scale)

    # The other data format: the same numbers in another order, sizes known or not.
    other = cls(**{**kwargs, "data_format": "channels_first"})
    first = np.moveaxis(inputs, -1, 1)
    if sizes_may_be_unknown:
        image = keras.Input((input_shape[-1], *(None,) * cls.rank, *input_shape[cls.rank : -1]))
        symbolic = other(image)
        assert symbolic.shape == other.compute_output_shape(image.shape)
        call = keras.Model(image, symbolic)
    else:
        call = other
        other.build(first.shape)
    other.set_weights(layer.get_weights())
    moved = _numpy(call(first))
    assert other.compute_output_shape(first.shape) == moved.shape
    np.testing.assert_allclose(np.moveaxis(moved, 1, -1), outputs, atol=TOLERANCE * scale)

    # Precisions.
    for policy, tolerance in (("float64", TOLERANCE), ("mixed_bfloat16", 5e-2), ("mixed_float16", 1e-2)):
        precise = cls(**kwargs, dtype=policy)
        precise.build(inputs.shape)
        precise.set_weights(layer.get_weights())
        computed = precise(inputs.astype("float64") if policy == "float64" else inputs)
        assert keras.backend.standardize_dtype(computed.dtype) == precise.compute_dtype
        values = _numpy(keras.ops.cast(computed, "float32"))
        np.testing.assert_allclose(values, outputs, atol=tolerance * scale)

    # A training step changes every weight, and calling changes none.
    for policy in ("float32", "mixed_bfloat16"):
        _check_training(cls, {**kwargs, "dtype": policy}, inputs)


def _check_config(layer, kwargs):
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    for key, value in kwargs.items():
        if not key.endswith(("initializer", "regularizer", "constraint")):  # these become objects
            assert config[key] in (value, (value,) * layer.rank), (key, config[key], value)
    serialized = keras.saving.serialize_keras_object(layer)
    assert serialized["registered_name"] == f"groco>{type(layer).__name__}"
    renamed = type(layer).from_config({**config, "name": "other", "trainable": False, "dtype": "mixed_bfloat16"})
    assert (renamed.name, renamed.trainable, renamed.dtype_policy.name) == ("other", False, "mixed_bfloat16")


def _check_training(cls, kwargs, inputs):
    image = keras.Input(inputs.shape[1:])
    features = cls(**kwargs)(image)
    outputs = keras.layers.Dense(1)(keras.layers.Flatten()(features))
    model = keras.Model(image, outputs)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse")
    before = [np.array(w) for w in model.get_weights()]
    model(inputs)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    model.fit(inputs, np.ones((len(inputs), 1)), epochs=1, verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.abs(old - new).max() > 0
        assert np.isfinite(new).all()


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)
