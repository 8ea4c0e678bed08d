"""The Fourier implementations: outputs and gradients of the dense ones, on all groups and shapes."""

import math

import keras
import numpy as np
import pytest
from keras import ops

import groco
from groco.fourier import choice, has_fourier, is_faster, pointwise_conv, split_conv
from groco.fourier.splitting import flips, split_plan
from groco.groups import get_group, list_groups
from groco.layers import GroupConv1D, GroupConv2D, GroupConv3D, GroupDense
from groco.layers.separable_conv import FACTORIZATIONS, SeparableGroupConv2D
from groco.testing import assert_equivariant
from tests.layers import reference
from tests.layers.contract import check_layer
from tests.layers.test_conv import PAIRS, PAIRS_3D

CONV = {1: GroupConv1D, 2: GroupConv2D, 3: GroupConv3D}
SIZES = {1: (7,), 2: (5, 7), 3: (3, 5, 4)}


def _numpy(tensor):
    return ops.convert_to_numpy(tensor)


def _twins(cls, shape, *args, dtype="float32", **kwargs):
    """The same layer, with the same random weights, in both implementations."""
    rng = np.random.default_rng(2)
    twins = []
    for implementation in ("dense", "fourier"):
        twins.append(cls(*args, implementation=implementation, dtype=dtype, **kwargs))
        twins[-1].build(shape)
    weights = [rng.normal(size=weight.shape) for weight in twins[0].weights]
    for layer in twins:
        layer.set_weights(weights)
    return twins


def _assert_same(cls, inputs, *args, dtype="float64", tolerance=1e-10, **kwargs):
    dense, fourier = _twins(cls, inputs.shape, *args, dtype=dtype, **kwargs)
    expected = _numpy(dense(inputs))
    outputs = _numpy(fourier(inputs))
    assert outputs.shape == expected.shape
    np.testing.assert_allclose(outputs, expected, atol=tolerance * np.abs(expected).max())


def _gradients(layer, inputs, weight_of_outputs):
    """Of the weighted sum of the outputs, by the inputs and by the weights."""
    variables = layer.trainable_weights
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        inputs = tf.constant(inputs)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            total = tf.reduce_sum(layer(inputs) * weight_of_outputs)
        return tape.gradient(total, [inputs, *(variable.value for variable in variables)])
    if keras.backend.backend() == "jax":
        import jax

        def total(inputs, weights):
            return ops.sum(layer.stateless_call(weights, [], inputs)[0] * weight_of_outputs)

        by_inputs, by_weights = jax.grad(total, argnums=(0, 1))(inputs, [variable.value for variable in variables])
        return [by_inputs, *by_weights]
    import torch

    inputs = ops.convert_to_tensor(inputs).requires_grad_()
    total = ops.sum(layer(inputs) * ops.convert_to_tensor(weight_of_outputs))
    return torch.autograd.grad(total, [inputs, *(variable.value for variable in variables)])


@pytest.mark.parametrize(("ndim", "group", "subgroup"), [*PAIRS, *[(3, *pair) for pair in PAIRS_3D]])
def test_pointwise_is_the_definition(ndim, group, subgroup, rng):
    group, subgroup = get_group(group, ndim), get_group(subgroup, ndim)
    signal, kernel = rng.normal(size=(2, group.order, 3)), rng.normal(size=(group.order, 3, 2))
    expected = np.zeros((2, subgroup.order, 2))
    for g, matrix in enumerate(subgroup.matrices):
        for h, other in enumerate(group.matrices):
            expected[:, g] += signal[:, h] @ kernel[reference.find(group, matrix.T @ other)]
    signal, kernel = (ops.convert_to_tensor(array, dtype="float64") for array in (signal, kernel))
    outputs = _numpy(pointwise_conv(signal, kernel, group, subgroup))
    np.testing.assert_allclose(outputs, expected, atol=1e-10)


@pytest.mark.parametrize("group", list_groups(3))
def test_every_group_of_space(group, rng):
    group = get_group(group, 3)
    signal = rng.normal(size=(1, 3, 2, 3, group.order, 2))
    if has_fourier(group, group, (1, 1, 1)):
        _assert_same(GroupConv3D, signal, 2, 1, group=group)
    if has_fourier(group, group, (2, 1, 2)):
        _assert_same(GroupConv3D, signal, 2, 2, group=group)


@pytest.mark.parametrize("padding", ["valid_equiv", "same_equiv"])
@pytest.mark.parametrize(
    ("ndim", "group", "subgroup"), [case for case in PAIRS if len(flips(get_group(case[2], case[0]))) > 1]
)
def test_splitting_is_the_dense_convolution(ndim, group, subgroup, padding, rng):
    signal = rng.normal(size=(2, *SIZES[ndim], get_group(group, ndim).order, 3))
    _assert_same(CONV[ndim], signal, 2, 3, group=group, subgroup=subgroup, padding=padding)


@pytest.mark.parametrize("unknown", [False, True])
@pytest.mark.parametrize(
    ("ndim", "group", "size", "kwargs"),
    [
        (1, "PM", (1,), {"kernel_size": 5, "padding": "same"}),
        (1, "PM", (4,), {"kernel_size": 4, "dilation_rate": 3, "padding": "same_equiv"}),
        (2, "P4", (1, 1), {"kernel_size": 5, "padding": "same"}),
        (2, "P4M", (2, 2), {"kernel_size": 7, "padding": "same"}),
        (2, "P4M", (4, 3), {"kernel_size": 3, "dilation_rate": 6, "padding": "same"}),
        (2, "PMw", (2, 5), {"kernel_size": (3, 5), "dilation_rate": (6, 2), "padding": "same_equiv"}),
        (3, "D4h", (2, 1, 3), {"kernel_size": 4, "dilation_rate": 2, "padding": "same_equiv"}),
        (3, "C2h_h", (6, 1, 3), {"kernel_size": 4, "dilation_rate": 2, "padding": "same"}),
    ],
)
def test_windows_that_reach_past_the_whole_image(ndim, group, size, kwargs, unknown, rng):
    inputs = rng.normal(size=(2, *size, get_group(group, ndim).order, 3)).astype("float32")
    outputs = []
    for implementation in ("dense", "fourier"):
        keras.utils.set_random_seed(0)
        layer = CONV[ndim](2, group=group, implementation=implementation, allow_non_equivariance=True, **kwargs)
        image = keras.Input((*((None,) * ndim if unknown else size), *inputs.shape[-2:]))
        model = keras.Model(image, layer(image))
        outputs.append(model.predict(inputs, verbose=0))
    np.testing.assert_allclose(*outputs, atol=1e-5)
    assert outputs[0].shape == tuple(layer.compute_output_shape(inputs.shape))


@pytest.mark.parametrize(("group", "subgroup"), [("Oh", "Oh"), ("O", "D2"), ("D4h", "C2v_d_hw"), ("Td", "S4_h")])
def test_splitting_in_3d(group, subgroup, rng):
    signal = rng.normal(size=(1, *SIZES[3], get_group(group, 3).order, 2))
    _assert_same(GroupConv3D, signal, 3, 3, group=group, subgroup=subgroup)
    _assert_same(GroupConv3D, signal, 3, 2, group=group, subgroup=subgroup, padding="same_equiv")


@pytest.mark.parametrize(
    "kwargs",
    [
        {"kernel_size": 5, "padding": "same"},
        {"kernel_size": 4, "padding": "same_equiv"},
        {"kernel_size": 2, "dilation_rate": 3, "padding": "same_equiv"},
        {"kernel_size": 3, "dilation_rate": 2},
        {"kernel_size": 3, "strides": 2},
        {"kernel_size": 3, "strides": 3},
        {"kernel_size": 2, "strides": 3, "padding": "same_equiv"},
        {"kernel_size": 1, "strides": 2},
        {"kernel_size": 1, "strides": 3, "padding": "same_equiv"},
        {"kernel_size": 3, "strides": 2, "data_format": "channels_first", "activation": "sigmoid"},
        {"kernel_size": (3, 1), "subgroup": "P2MM"},
        {"kernel_size": (1, 4), "strides": (2, 1), "subgroup": "P2MM"},
        {"kernel_size": (3, 5), "strides": (1, 2), "subgroup": "PMw"},
        {"kernel_size": (3, 2), "subgroup": "PMh", "padding": "same_equiv"},
        {"kernel_size": 3, "padding": "same", "strides": 2, "allow_non_equivariance": True},
    ],
)
def test_sizes_strides_dilation_and_padding(kwargs, rng):
    signal = rng.normal(size=(2, 7, 9, 8, 3))
    if kwargs.get("data_format") == "channels_first":
        signal = np.moveaxis(signal, -1, 1)
    if kwargs.get("allow_non_equivariance"):
        signal = signal[:, :6, :8]
    _assert_same(GroupConv2D, signal, 2, group="P4M", **kwargs)


@pytest.mark.parametrize("factorization", FACTORIZATIONS)
@pytest.mark.parametrize("subgroup", ["P4M", "P2MM"])
def test_separable_layers(factorization, subgroup, rng):
    kwargs = {"group": "P4M", "subgroup": subgroup, "factorization": factorization}
    _assert_same(SeparableGroupConv2D, rng.normal(size=(2, 5, 7, 8, 3)), 2, 3, **kwargs)
    if factorization == "depthwise":  # the pointwise factor is on the subgroup, of an image as well
        _assert_same(SeparableGroupConv2D, rng.normal(size=(2, 5, 7, 3)), 2, 3, **kwargs)


@pytest.mark.parametrize(
    ("cls", "shape", "args", "kwargs"),
    [
        (GroupConv2D, (2, 5, 6, 8, 3), (2, 3), {"group": "P4M", "padding": "same"}),
        (GroupConv2D, (2, 5, 7, 8, 3), (2, 3), {"group": "P4M", "subgroup": "P4", "strides": 2}),
        (GroupConv2D, (2, 5, 6, 8, 3), (2, 1), {"group": "P4M"}),
        (GroupConv3D, (1, 3, 3, 3, 24, 2), (2, 3), {"group": "O"}),
        (GroupDense, (4, 12, 3), (2,), {"group": "T"}),
        (GroupDense, (4, 48, 3), (2,), {"group": "Oh", "subgroup": "D3_dhw"}),
    ],
)
def test_gradients_are_those_of_the_dense_implementation(cls, shape, args, kwargs, rng):
    inputs = rng.normal(size=shape).astype("float32")
    dense, fourier = _twins(cls, shape, *args, **kwargs)
    outputs = dense(inputs)
    weight_of_outputs = rng.normal(size=outputs.shape).astype("float32")
    np.testing.assert_allclose(_numpy(fourier(inputs)), _numpy(outputs), atol=1e-5 * np.abs(_numpy(outputs)).max())
    pairs = zip(*(_gradients(layer, inputs, weight_of_outputs) for layer in (dense, fourier)), strict=True)
    for expected, gradient in pairs:
        expected, gradient = _numpy(expected), _numpy(gradient)
        np.testing.assert_allclose(gradient, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("cls", "shape", "kwargs"),
    [
        (GroupConv2D, (5, 6, 8, 2), {"filters": 3, "kernel_size": 3, "padding": "same_equiv", "group": "P4M"}),
        (GroupConv2D, (7, 7, 4, 2), {"filters": 3, "kernel_size": 3, "strides": 2, "group": "P4", "subgroup": "P2"}),
        (GroupConv1D, (6, 2, 2), {"filters": 3, "kernel_size": 1, "group": "PM"}),
        (SeparableGroupConv2D, (5, 6, 4, 2), {"filters": 3, "kernel_size": 3, "group": "P4", "factorization": "g"}),
    ],
)
def test_contract(cls, shape, kwargs, tmp_path):
    weights = 3 if cls is SeparableGroupConv2D else 2
    check_layer(cls, {**kwargs, "implementation": "fourier"}, shape, trainable_weights=weights, tmp_path=tmp_path)


def test_contract_of_the_dense_layer(tmp_path):
    kwargs = {"units": 3, "group": "O", "subgroup": "T", "implementation": "fourier"}
    check_layer(GroupDense, kwargs, (24, 2), trainable_weights=2, sizes_may_be_unknown=False, tmp_path=tmp_path)


@pytest.mark.parametrize(("group", "kernel_size"), [("P4M", 3), ("P4M", 1), ("P4", 3), ("CMd", 1), ("PMh", 2)])
def test_equivariant(group, kernel_size, rng):
    layer = GroupConv2D(3, kernel_size, group=group, implementation="fourier", bias_initializer="normal")
    signal = rng.normal(size=(1, 5, 6, get_group(group, 2).order, 2)).astype("float32")
    assert_equivariant(layer, signal)


def test_a_quarter_of_the_multiplications_is_left():
    """P4M, 3x3, channels to channels: 144 where the expanded kernel has 576, and 12 of 64 where it is 1x1."""
    p4m = get_group("P4M", 2)
    plan = split_plan(p4m, p4m, (3, 3), (1, 1))
    assert plan.kernel_transform.shape[0] * plan.rows.shape[-1] * plan.rows.shape[-2] == 144
    assert len(flips(get_group("Oh", 3))) == 8
    assert [len(flips(get_group(name, 2))) for name in ("P4M", "P4", "PMw", "CMd", "C2MM")] == [4, 2, 2, 1, 2]


# -- the choice ------------------------------------------------------------------------------------------------------


def _chosen(channels, filters, size, group="P4M", dtype="float32", strides=(1, 1), points=None, gradient=False):
    group = get_group(group, 2)
    return is_faster(group, group, size, strides, channels, filters, dtype, points, gradient)


def _set_worth(monkeypatch, inference, training=None):
    """The figures of the backend; those of inference for both, if there are no others."""
    backend = keras.backend.backend()
    monkeypatch.setattr(choice, "WORTH", {backend: inference})
    monkeypatch.setattr(choice, "WORTH_WITH_GRADIENT", {backend: training or inference})
    monkeypatch.setattr(choice, "MANY", {backend: (math.inf, 0.0)})


def test_auto_is_dense_below_a_width_and_fourier_above(monkeypatch):
    monkeypatch.setattr(choice, "_on_cpu", lambda: True)
    _set_worth(monkeypatch, (100.0, 100.0, 200.0))
    for size in ((1, 1), (3, 3)):
        for group in ("P4", "P4M"):
            choices = [_chosen(width, width, size, group) for width in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)]
            assert choices == sorted(choices), (group, size)
            assert (choices[0], choices[-1]) == (False, True)
        assert not _chosen(1, 512, size)  # few channels on one side are few savings
    assert not _chosen(512, 512, (3, 3), dtype="bfloat16")  # not measured
    assert _chosen(512, 512, (3, 3), strides=(2, 2))
    _set_worth(monkeypatch, (100.0, 100.0, math.inf))
    assert not _chosen(512, 512, (3, 3), strides=(2, 2))
    assert _chosen(512, 512, (1, 1), strides=(2, 2))
    monkeypatch.setattr(choice, "WORTH", {})
    assert not _chosen(512, 512, (3, 3))  # a backend that was not measured
    _set_worth(monkeypatch, (100.0, 100.0, 100.0))
    monkeypatch.setattr(choice, "_on_cpu", lambda: False)
    assert not _chosen(512, 512, (3, 3))


def test_auto_is_dense_in_one_dimension_on_jax(monkeypatch):
    monkeypatch.setattr(choice, "_on_cpu", lambda: True)
    line = get_group("PM", 1)
    for size in ((1,), (9,)):
        chosen = is_faster(line, line, size, (1,), 1024, 1024, "float32")
        assert chosen == (keras.backend.backend() != "jax")


@pytest.mark.parametrize("size", [(1, 1), (3, 3)])
def test_auto_is_dense_on_few_points_where_calls_take_time(size, monkeypatch):
    backend = keras.backend.backend()
    monkeypatch.setattr(choice, "_is_eager", lambda: False)
    monkeypatch.setattr(choice, "_on_cpu", lambda: True)
    _set_worth(monkeypatch, (10.0, 10.0, 10.0))
    monkeypatch.setattr(choice, "CALL", {backend: (1e7, 1e7)})
    group = get_group("P4M", 2)
    found = choice.cost(group, group, size, (1, 1), 64, 64, backend)
    enough = math.ceil(found.calls * 1e7 / found.saved)
    assert _chosen(64, 64, size, points=None)
    assert _chosen(64, 64, size, points=enough)
    assert not _chosen(64, 64, size, points=enough - 1)
    monkeypatch.setattr(choice, "CALL", {backend: (0.0, 0.0)})
    assert _chosen(64, 64, size, points=1)
    # fewer are enough where gradients follow
    monkeypatch.setattr(choice, "CALL", {backend: (1e7, 0.0)})
    assert [_chosen(64, 64, size, points=1, gradient=gradient) for gradient in (False, True)] == [False, True]


@pytest.mark.parametrize("size", [(1, 1), (3, 3)])
def test_auto_may_choose_another_one_where_gradients_follow(size, monkeypatch):
    monkeypatch.setattr(choice, "_is_eager", lambda: False)
    monkeypatch.setattr(choice, "_on_cpu", lambda: True)
    monkeypatch.setattr(choice, "CALL", {keras.backend.backend(): (0.0, 0.0)})
    for fourier in (False, True):
        _set_worth(monkeypatch, *((10.0,) * 3 if use else (1e4,) * 3 for use in (not fourier, fourier)))
        for points in (None, 1000):
            assert _chosen(64, 64, size, points=points, gradient=True) == fourier
            assert _chosen(64, 64, size, points=points, gradient=False) != fourier


def test_auto_is_dense_where_more_is_moved_than_pays(monkeypatch):
    backend = keras.backend.backend()
    monkeypatch.setattr(choice, "_is_eager", lambda: False)
    monkeypatch.setattr(choice, "_on_cpu", lambda: True)
    monkeypatch.setattr(choice, "CALL", {backend: (0.0, 0.0)})
    _set_worth(monkeypatch, (10.0, 10.0, 10.0))
    found = choice.cost(*(get_group("P4M", 2),) * 2, (3, 3), (1, 1), 64, 64, backend)
    monkeypatch.setattr(choice, "MANY", {backend: (10.5 * found.moved, 1e4)})
    assert [_chosen(64, 64, (3, 3), points=points) for points in (10, 11, None)] == [True, False, True]
    assert _chosen(64, 64, (3, 3), points=11, gradient=True)
    assert _chosen(64, 64, (3, 3), points=11, strides=(2, 2))
    assert _chosen(64, 64, (1, 1), points=1000)


@pytest.mark.parametrize(
    "make",
    [
        lambda: GroupConv2D(2, 3, group="P4"),
        lambda: GroupDense(2, group="P4"),
        lambda: SeparableGroupConv2D(2, 3, group="P4"),
        lambda: SeparableGroupConv2D(2, 3, group="P4", factorization="gc"),
        lambda: SeparableGroupConv2D(2, 3, group="P4", factorization="g"),
    ],
)
def test_the_choice_knows_whether_a_net_is_trained(make, rng, monkeypatch):
    asked = []
    monkeypatch.setattr("groco.layers.implementations.is_faster", lambda *args: asked.append(args[-1]) or False)
    inputs = keras.Input((5, 5, 4, 2))
    net = keras.Model(inputs, make()(inputs))
    net.compile("sgd", "mse")
    signal = rng.normal(size=(2, 5, 5, 4, 2)).astype("float32")
    recorded = keras.backend.backend() == "torch"  # unless it is told not to
    for call, trained in (
        (lambda: net.predict(signal, verbose=0), False),
        (lambda: net(signal), recorded),
        (lambda: net.fit(signal, np.zeros((2, *net.output_shape[1:]), "float32"), verbose=0), True),
        (lambda: groco.export_plain(net, implementation="auto"), False),
    ):
        asked.clear()
        call()
        assert asked[-1] == trained, asked  # nets are built without gradients


@pytest.mark.parametrize(("group", "size", "fewest"), [("P4", (3, 3), 10), ("P4M", (3, 3), 1), ("P4", (1, 1), 1)])
def test_auto_is_dense_where_half_of_little_is_saved(group, size, fewest, monkeypatch):
    backend = keras.backend.backend()
    monkeypatch.setattr(choice, "_is_eager", lambda: False)
    found = choice.cost(*(get_group(group, 2),) * 2, size, (1, 1), 64, 64, backend)
    monkeypatch.setattr(choice, "_on_cpu", lambda: True)
    _set_worth(monkeypatch, (10.0, 10.0, 10.0))
    monkeypatch.setattr(choice, "CALL", {backend: (0.0, 0.0)})
    monkeypatch.setattr(choice, "HALVED", {backend: 9.5 * (found.saved - 10 * found.moved)})
    assert [_chosen(64, 64, size, group, points=n) for n in (fewest - 1, fewest, None)] == [fewest == 1, True, True]
    assert _chosen(64, 64, size, group, points=1, gradient=True)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="it compiles nothing")
def test_auto_asks_for_more_where_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(choice, "_on_cpu", lambda: True)

    def compiled(width, points):
        chosen = []
        if keras.backend.backend() == "jax":
            import jax

            jax.make_jaxpr(lambda x: chosen.append(_chosen(width, width, (3, 3), points=points)) or x)(0.0)
        else:
            import tensorflow as tf

            tf.function(lambda: chosen.append(_chosen(width, width, (3, 3), points=points))).get_concrete_function()
        return chosen[0]

    assert [compiled(width, 4096) for width in (4, 48, 96)] == [False, True, True]
    assert [_chosen(width, width, (3, 3), points=4096) for width in (4, 48, 96)] == [False, False, True]
    assert not _chosen(96, 96, (3, 3), points=64)
    assert _chosen(48, 48, (3, 3))  # of an export, which is compiled


@pytest.mark.parametrize(
    ("make", "shape", "points"),
    [
        (lambda: GroupConv2D(2, 3, strides=2, group="P4"), (3, 5, 7, 4, 2), 3 * 2 * 3),
        (lambda: GroupConv2D(2, 3, padding="same", group="P4"), (3, 5, 7, 4, 2), 3 * 5 * 7),
        (lambda: GroupDense(2, group="P4"), (5, 4, 2), 5),
        (lambda: GroupDense(2, group="P4"), (5, 6, 4, 2), 5 * 6),
        (lambda: SeparableGroupConv2D(2, 3, group="P4"), (3, 5, 7, 4, 2), 3 * 3 * 5),
        (lambda: SeparableGroupConv2D(2, 3, group="P4", factorization="gc"), (3, 5, 7, 4, 2), 3 * 5 * 7),
        (lambda: SeparableGroupConv2D(2, 3, group="P4", factorization="g"), (3, 5, 7, 4, 2), 3 * 3 * 5),
    ],
)
def test_the_choice_knows_the_points(make, shape, points, monkeypatch):
    asked = []
    layer = make()
    layer.build(shape)
    monkeypatch.setattr("groco.layers.implementations.is_faster", lambda *args: asked.append(args[-2]))
    layer(np.zeros(shape, "float32"))
    assert asked == [points]
    asked.clear()
    assert not layer._is_fourier(layer.group, layer.subgroup, (1, 1), (1, 1), 2, 2, grid=(None, 5, 7))
    assert asked == [None]


def test_the_layers_do_what_is_chosen(rng, monkeypatch):
    """Nothing but the choice decides, and each implementation is really called."""
    called = []
    for name in ("split_conv", "pointwise_conv"):
        original = {"split_conv": split_conv, "pointwise_conv": pointwise_conv}[name]

        def spy(*args, name=name, original=original):
            called.append(name)
            return original(*args)

        for module in ("implementations", "dense", "separable_conv"):
            monkeypatch.setattr(f"groco.layers.{module}.{name}", spy, raising=False)
    signal = rng.normal(size=(1, 4, 4, 4, 2)).astype("float32")

    def calls(layer):
        called.clear()
        layer(signal)
        return called.copy()

    layers = {
        "split_conv": [lambda **kw: GroupConv2D(2, 3, **kw), lambda **kw: SeparableGroupConv2D(2, 3, **kw)],
        "pointwise_conv": [lambda **kw: GroupConv2D(2, 1, **kw), lambda **kw: GroupDense(2, **kw)],
    }
    for expected, makers in layers.items():
        for make in makers:
            options = {"group": "P4"}
            if isinstance(make(**options), SeparableGroupConv2D):
                options["factorization"] = "g"
            for faster in (True, False):
                monkeypatch.setattr("groco.layers.implementations.is_faster", lambda *args, faster=faster: faster)
                assert calls(make(**options)) == [expected] * faster
                assert calls(make(**options, implementation="fourier")) == [expected]
                assert calls(make(**options, implementation="dense")) == []


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="its own convolutions refuse empty batches")
@pytest.mark.parametrize("size", [1, 3])
def test_empty_batches(size):
    layer = GroupConv2D(3, size, group="P4M", implementation="fourier")
    layer.build((None, 6, 6, 8, 2))
    assert tuple(layer(np.zeros((0, 6, 6, 8, 2), "float32")).shape) == (0, 7 - size, 7 - size, 8, 3)


def test_images_are_lifted_by_the_dense_convolution(rng):
    layer = GroupConv2D(256, 3, group="P4M")
    assert layer(rng.normal(size=(1, 4, 4, 3)).astype("float32")).shape == (1, 2, 2, 8, 256)
    assert layer.implementation == "auto"


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: GroupConv2D(2, 3, group="P4", implementation="fft"), None, "one of auto, dense, fourier, got 'fft'"),
        (lambda: GroupConv2D(2, 3, group="P4", implementation="fourier"), (1, 5, 5, 3), "is an image"),
        (lambda: GroupConv2D(2, 3, group="P4", groups=2, implementation="fourier"), (1, 5, 5, 4, 2), "groups=2"),
        (lambda: GroupConv2D(2, 3, group="CMd", implementation="fourier"), (1, 5, 5, 2, 2), "'CMd' only flips axes"),
        (lambda: GroupDense(2, group="P4", subgroup="P1", implementation="fourier"), (1, 4, 2), "'P1' is trivial"),
        (
            lambda: SeparableGroupConv2D(2, 3, group="P4", factorization="gc", implementation="fourier"),
            (1, 5, 5, 3),
            "is an image",
        ),
    ],
)
def test_what_does_not_exist_is_refused(make, shape, message):
    with pytest.raises(ValueError, match=message) as error:
        make().build(shape)
    assert "dense" in str(error.value)
