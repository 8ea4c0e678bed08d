"""Transposed group convolutions: the definition, the adjoint of the forward layer, equivariant or refused."""

import itertools

import keras
import numpy as np
import pytest

from groco.groups import get_group, list_groups
from groco.layers import GroupConv1D, GroupConv2D, GroupConv3D
from groco.layers.conv_transpose import GroupConv1DTranspose, GroupConv2DTranspose, GroupConv3DTranspose
from groco.layers.padding import PADDINGS
from groco.testing import assert_equivariant, equivariance_error
from tests.layers import reference
from tests.layers.contract import check_layer
from tests.layers.test_conv import PAIRS, PAIRS_3D

CONV = {1: GroupConv1D, 2: GroupConv2D, 3: GroupConv3D}
TRANSPOSE = {1: GroupConv1DTranspose, 2: GroupConv2DTranspose, 3: GroupConv3DTranspose}
SIZES = {1: (4,), 2: (3, 4), 3: (2, 3, 1)}
lifting_or_not = pytest.mark.parametrize("lifting", [True, False], ids=["lifting", "group"])


def _numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def _inputs(rng, ndim, subgroup, lifting, sizes=None, channels=2):
    order = () if lifting else (get_group(subgroup, ndim).order,)
    return rng.normal(size=(1, *(sizes or SIZES[ndim]), *order, channels))


def _scatter(signal, kernel, group, subgroup, strides, dilation):
    """The full result in plain loops: each point of the input writes a turned copy of the kernel.

    out(s y + d z, g) gets f(y, h) k(h^-1 z, h^-1 g), h in the subgroup, or f(y) k(g^-1 z) where f is an image.
    """
    ndim = group.ndim
    size = kernel.shape[:ndim]
    lifting = signal.ndim == ndim + 2
    counts = [
        (n - 1) * s + (k - 1) * d + 1
        for n, s, k, d in zip(signal.shape[1 : ndim + 1], strides, size, dilation, strict=True)
    ]
    out = np.zeros((len(signal), *counts, group.order, kernel.shape[-2]))
    for z in np.ndindex(*size):
        values = np.zeros((group.order, kernel.shape[-2], 1 if lifting else subgroup.order, kernel.shape[-1]))
        for g, h in np.ndindex(values.shape[0], values.shape[2]):
            turn = group.matrices[g] if lifting else subgroup.matrices[h]
            source = kernel[reference.kernel_point(turn, z, size)]
            values[g, :, h] = source if lifting else source[reference.find(group, turn.T @ group.matrices[g])]
        for y in np.ndindex(*signal.shape[1 : ndim + 1]):
            at = tuple(s * a + d * b for s, a, d, b in zip(strides, y, dilation, z, strict=True))
            f = signal[(slice(None), *y)]
            out[(slice(None), *at)] += np.einsum("bhc,gohc->bgo", f[:, None] if lifting else f, values)
    return out


def cut(full, axis, start, length):
    """`length` points from `start` on, with zeros where there are none."""
    indices = np.arange(start, start + length)
    inside = (indices >= 0) & (indices < full.shape[axis])
    taken = np.take(full, np.where(inside, indices, 0), axis=axis)
    shape = [1] * full.ndim
    shape[axis] = length
    return taken * inside.reshape(shape)


def full_by_definition(layer, inputs):
    """What the layer should give without bias before it is cropped, with its own kernel."""
    kernel = _numpy(layer.kernel)
    return _scatter(inputs, kernel, layer.group, layer.subgroup, layer.strides, layer.dilation_rate)


def _assert_equivariant(layer, inputs, **kwargs):
    """A signal on the subgroup becomes one on the group; an image is lifted to the group."""
    lifting = inputs.ndim == layer.rank + 2
    acting = layer.group if lifting else layer.subgroup
    assert_equivariant(layer, inputs, acting, input_group=acting, output_group=layer.group, **kwargs)


@lifting_or_not
@pytest.mark.parametrize(
    ("ndim", "group", "subgroup"),
    [*PAIRS, (3, "Oh", "C3v_dhw"), (3, "O", "D3_dhw"), (3, "D4h", "C2v_d_hw"), (3, "Td", "S4_h"), (3, "Th", "Th")],
)
def test_is_the_definition(ndim, group, subgroup, lifting, rng):
    inputs = _inputs(rng, ndim, subgroup, lifting)
    layer = TRANSPOSE[ndim](
        3, 3 if ndim < 3 else 2, 2, group=group, subgroup=subgroup, bias_initializer="normal", dtype="float64"
    )
    outputs = _numpy(layer(inputs))
    expected = full_by_definition(layer, inputs) + _numpy(layer.bias)
    np.testing.assert_allclose(outputs, expected, atol=1e-10)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize(
    ("kernel_size", "strides", "dilation_rate"),
    [(1, 1, 1), (1, 3, 1), (2, 2, 1), (2, 3, 1), (3, 1, 1), (3, 2, 1), (4, 3, 1), (1, 1, 2), (2, 1, 3), (3, 1, 2)],
)
def test_strides_and_dilation_are_the_definition(ndim, kernel_size, strides, dilation_rate, rng):
    """In particular the backends' transposed convolutions, which differ in what they crop, are the full one here."""
    group, subgroup = {1: ("PM", "PM"), 2: ("P2MM", "PMw"), 3: ("D2h", "C2_h")}[ndim]
    inputs = _inputs(rng, ndim, subgroup, False)
    layer = TRANSPOSE[ndim](
        1, kernel_size, strides, dilation_rate=dilation_rate, group=group, subgroup=subgroup, dtype="float64"
    )
    np.testing.assert_allclose(_numpy(layer(inputs)), full_by_definition(layer, inputs), atol=1e-10)
    _assert_equivariant(layer, inputs, tolerance=1e-10)


@pytest.mark.parametrize(
    ("kwargs", "starts", "sizes"),
    [
        # (what is asked for an input of 3 x 4 points, where the output starts in the full result, its size)
        ({"kernel_size": 3, "strides": 2, "padding": "valid"}, (0, 0), (7, 9)),
        ({"kernel_size": 2, "strides": 3, "padding": "valid", "output_padding": 0}, (0, 0), (8, 11)),
        ({"kernel_size": 4, "strides": 2, "padding": "same"}, (1, 1), (6, 8)),
        ({"kernel_size": 2, "strides": 2, "padding": "same"}, (0, 0), (6, 8)),
        ({"kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 0}, (1, 1), (5, 7)),
        ({"kernel_size": 4, "strides": 2, "padding": "same", "output_padding": 0}, (2, 2), (4, 6)),
        ({"kernel_size": 5, "strides": 3, "padding": "same", "output_padding": 2}, (1, 1), (9, 12)),
        ({"kernel_size": 3, "padding": "same", "dilation_rate": 2}, (2, 2), (3, 4)),
        ({"kernel_size": 3, "padding": "valid_equiv"}, (0, 0), (5, 6)),
        ({"kernel_size": 1, "strides": 2, "padding": "valid_equiv"}, (0, 0), (5, 7)),
        ({"kernel_size": 5, "strides": 3, "padding": "same_equiv"}, (1, 1), (9, 12)),
        ({"kernel_size": 1, "strides": 3, "padding": "same_equiv"}, (-1, -1), (9, 12)),
    ],
)
@lifting_or_not
def test_paddings_are_windows_of_the_full_result(kwargs, starts, sizes, lifting, rng):
    inputs = _inputs(rng, 2, "P4", lifting)
    layer = GroupConv2DTranspose(2, group="P4M", subgroup="P4", dtype="float64", **kwargs)
    outputs = _numpy(layer(inputs))
    assert outputs.shape == (1, *sizes, 8, 2) == layer.compute_output_shape(inputs.shape)
    expected = full_by_definition(layer, inputs)
    for axis, (start, size) in enumerate(zip(starts, sizes, strict=True), start=1):
        expected = cut(expected, axis, start, size)
    np.testing.assert_allclose(outputs, expected, atol=1e-10)
    _assert_equivariant(layer, inputs, tolerance=1e-10)


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("strides", [1, 2, 3, 4])
@pytest.mark.parametrize(("group", "subgroup"), [("P4M", "P4M"), ("P4M", "PMw"), ("P4", "P1"), ("CMd", "CMd")])
def test_same_equiv_is_strides_times_the_size(kernel_size, strides, group, subgroup, rng):
    """On mirrored axes the mean of the window that starts at (w - s) // 2 and its mirror image; else that of `same`."""
    inputs = _inputs(rng, 2, subgroup, False)
    layer = GroupConv2DTranspose(
        2, kernel_size, strides, padding="same_equiv", group=group, subgroup=subgroup, dtype="float64"
    )
    outputs = _numpy(layer(inputs))
    assert outputs.shape[1:3] == (3 * strides, 4 * strides)
    expected = full_by_definition(layer, inputs)
    crop = kernel_size - strides
    for axis, mirrored in enumerate(layer.subgroup.mirrored_axes, start=1):
        start, length = crop // 2 if mirrored else max(crop, 0) // 2, inputs.shape[axis] * strides
        first = cut(expected, axis, start, length)
        expected = (first + cut(expected, axis, crop - start, length)) / 2 if mirrored else first
    np.testing.assert_allclose(outputs, expected, atol=1e-10)
    _assert_equivariant(layer, inputs, tolerance=1e-10)


@pytest.mark.parametrize(
    ("kwargs", "size", "forward"),
    [
        # (what is asked, a size of the forward layer's input that the transposed layer gives back, its padding)
        ({"kernel_size": 3}, 5, "valid_equiv"),
        ({"kernel_size": 2, "strides": 2}, 6, "valid_equiv"),
        ({"kernel_size": 3, "strides": 2}, 7, "valid"),
        ({"kernel_size": 1, "strides": 3}, 7, "valid"),
        ({"kernel_size": 2, "dilation_rate": 2}, 5, "valid_equiv"),
        ({"kernel_size": 3, "strides": 2, "padding": "valid"}, 5, "valid"),
        ({"kernel_size": 3, "padding": "same"}, 4, "same"),
        ({"kernel_size": 4, "strides": 2, "padding": "same"}, 6, "same"),
        ({"kernel_size": 3, "strides": 3, "padding": "same_equiv"}, 6, "same_equiv"),
        ({"kernel_size": 3, "dilation_rate": 2, "padding": "same_equiv"}, 5, "same_equiv"),
        ({"kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 0}, 5, "same"),
    ],
)
@pytest.mark.parametrize(
    ("ndim", "group", "subgroup"),
    [(1, "PM", "PM"), (1, "PM", "P1"), (2, "P4M", "P4M"), (2, "P4M", "CMd"), (2, "P4M", "PMh"), (3, "Td", "C2v_d_hw")],
)
def test_is_the_adjoint_of_the_forward_layer(ndim, group, subgroup, kwargs, size, forward, rng):
    """<conv(x), y> = <x, transpose(y)> with one kernel for both."""
    group, subgroup = get_group(group, ndim), get_group(subgroup, ndim)
    common = {"group": group, "subgroup": subgroup, "use_bias": False, "dtype": "float64"}
    settings = {key: value for key, value in kwargs.items() if key != "output_padding"}
    conv = CONV[ndim](3, **{**settings, "padding": forward}, **common)
    transpose = TRANSPOSE[ndim](2, **kwargs, **common)
    x = rng.normal(size=(2, *(size,) * ndim, group.order, 2))
    conv_x = _numpy(conv(x))
    y = rng.normal(size=conv_x.shape)
    transpose.build(y.shape)
    assert transpose.kernel.shape == conv.kernel.shape
    transpose.set_weights(conv.get_weights())
    transpose_y = _numpy(transpose(y))
    assert transpose_y.shape == x.shape
    assert np.vdot(conv_x, y) == pytest.approx(np.vdot(x, transpose_y), rel=1e-10)


@lifting_or_not
@pytest.mark.parametrize(("ndim", "group", "subgroup"), [*PAIRS, *[(3, *pair) for pair in PAIRS_3D]])
def test_equivariant_on_every_element(ndim, group, subgroup, lifting, rng):
    inputs = _inputs(rng, ndim, subgroup, lifting, channels=1).astype("float32")
    if ndim == 3 and lifting:
        group = subgroup  # an image is lifted to the group, whatever the subgroup
    kwargs = {"group": group, "subgroup": subgroup, "bias_initializer": "normal"}
    _assert_equivariant(TRANSPOSE[ndim](2, 2, 2, **kwargs), inputs)
    if ndim < 3:
        _assert_equivariant(TRANSPOSE[ndim](2, 3, 2, padding="same_equiv", **kwargs), inputs)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4])
@pytest.mark.parametrize("group", ["P4", "CMd", "CMa", "PMw"])
def test_equivariant_or_refused(padding, strides, kernel_size, group, rng):
    """Never a third outcome; what is refused really is not equivariant, and what is said to work does."""
    plain = not padding.endswith("_equiv")
    for output_padding, size in itertools.product((None, *range(strides)) if plain else (None,), [(2, 2), (2, 3)]):
        inputs = _inputs(rng, 2, group, False, size).astype("float32")
        kwargs = {"strides": strides, "group": group, "bias_initializer": "normal"}
        asked = {"padding": padding, "output_padding": output_padding, **kwargs}
        try:
            layer = GroupConv2DTranspose(2, kernel_size, **asked)
        except ValueError as error:
            assert plain
            assert f"What works: padding='{padding}_equiv'" in str(error)
            assert "output_padding=0" in str(error)
            layer = GroupConv2DTranspose(2, kernel_size, **asked, allow_non_equivariance=True)
            assert equivariance_error(layer, inputs) > 1e-2
            GroupConv2DTranspose(2, kernel_size, padding=f"{padding}_equiv", **kwargs).build(inputs.shape)
            GroupConv2DTranspose(2, kernel_size, padding=padding, output_padding=0, **kwargs).build(inputs.shape)
        else:
            _assert_equivariant(layer, inputs)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, 2, 3, (2, 3)])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, (4, 3)])
def test_used_like_conv2d_transpose(padding, strides, kernel_size, rng):
    """The trivial group gives Keras' own transposed convolution: the same arguments, weights and numbers."""
    images = rng.normal(size=(2, 3, 4, 3)).astype("float32")
    lowest = strides if isinstance(strides, int) else min(strides)
    for output_padding, dilation in ((None, 1), (None, 2), *[(p, 1) for p in range(lowest)]):
        if dilation > 1 and strides != 1:
            continue
        kwargs = {"padding": padding, "output_padding": output_padding, "dilation_rate": dilation, "activation": "relu"}
        plain = keras.layers.Conv2DTranspose(4, kernel_size, strides, **kwargs)
        ours = GroupConv2DTranspose(4, kernel_size, strides, group="P1", **kwargs)
        ours.build(images.shape)
        plain.build(images.shape)
        assert ours.compute_output_shape(images.shape) == (*plain.compute_output_shape(images.shape)[:3], 1, 4)
        ours.set_weights(plain.get_weights())
        try:
            expected = _numpy(plain(images))
        except Exception:
            if dilation > 1 and keras.backend.backend() == "tensorflow":
                continue  # its plain kernels for CPUs have none; those of oneDNN, which not every CPU takes, do
            # TensorFlow has no window that ends where the last one begins.
            assert (padding, output_padding) == ("same", 0)
            assert any(k % 2 == 0 for k in np.broadcast_to(kernel_size, 2))
            continue
        np.testing.assert_allclose(_numpy(ours(images))[..., 0, :], expected, atol=1e-5)


@pytest.mark.parametrize("group", ["P4M", "PMh", "CMd"])
def test_what_breaks_equivariance_is_keras_own_where_it_is_allowed(group, rng):
    """Each orientation is then Keras' layer with the kernel turned."""
    images = rng.normal(size=(1, 3, 3, 2)).astype("float32")
    for kernel_size, padding in ((3, "same"), (1, "valid"), (1, "same")):
        layer = GroupConv2DTranspose(2, kernel_size, 2, padding=padding, group=group, allow_non_equivariance=True)
        outputs = _numpy(layer(images))
        plain = keras.layers.Conv2DTranspose(2, kernel_size, 2, padding=padding)
        plain.build(images.shape)
        plain.set_weights(layer.get_weights())
        np.testing.assert_allclose(outputs[..., 0, :], _numpy(plain(images)), atol=1e-5)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@lifting_or_not
def test_contract(ndim, lifting, tmp_path):
    group = {1: "PM", 2: "P4M", 3: "D4"}[ndim]
    subgroup = {1: "PM", 2: "PMw", 3: "C2_hw"}[ndim]
    order = () if lifting else (get_group(subgroup, ndim).order,)
    kwargs = {
        "filters": 2,
        "kernel_size": 3,
        "strides": 2,
        "padding": "same_equiv",
        "group": group,
        "subgroup": subgroup,
        "activation": "elu",
        "kernel_regularizer": "l2",
        "bias_constraint": "max_norm",
    }
    check_layer(TRANSPOSE[ndim], kwargs, (*(3, 4, 2)[:ndim], *order, 2), trainable_weights=2, tmp_path=tmp_path)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"kernel_size": 2, "dilation_rate": 2, "use_bias": False},
        {"kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 0, "use_bias": False},
        {"kernel_size": 1, "strides": 3, "padding": "valid", "output_padding": 1, "allow_non_equivariance": True},
    ],
)
def test_contract_of_dilation_and_output_padding(kwargs, tmp_path):
    weights = 2 if kwargs.get("use_bias", True) else 1
    kwargs = {"filters": 2, "group": "P4", "subgroup": "P2", **kwargs}
    check_layer(GroupConv2DTranspose, kwargs, (3, 4, 2, 2), trainable_weights=weights, tmp_path=tmp_path)


def test_parameters_and_shape():
    layer = GroupConv2DTranspose(10, 3, 2, group="P4", subgroup="P2")
    layer.build((None, 8, 8, 2, 5))
    assert layer.kernel.shape == (3, 3, 4, 10, 5)
    assert layer.bias.shape == (10,)
    assert layer.compute_output_shape((None, 8, None, 2, 5)) == (None, 17, None, 4, 10)
    lifting = GroupConv2DTranspose(10, 3, 2, group="P4")
    lifting.build((None, 8, 8, 5))
    assert lifting.kernel.shape == (3, 3, 10, 5)
    assert lifting.compute_output_shape((None, None, 8, 5)) == (None, None, 17, 4, 10)


def test_there_and_back(rng):
    """Down to a subgroup and a coarser grid, and up again: equivariant to the subgroup, on the first group and grid."""
    image = keras.Input((7, 9, 1))
    signal = GroupConv2D(2, 3, group="P4M", padding="same", activation="relu")(image)
    coarse = GroupConv2D(3, 3, strides=2, group="P4M", subgroup="PMw", activation="relu")(signal)
    fine = GroupConv2DTranspose(2, 3, strides=2, group="P4M", subgroup="PMw")(coarse)
    model = keras.Model(image, keras.layers.Concatenate()([signal, fine]))
    assert model.output_shape == (None, 7, 9, 8, 4)
    inputs = rng.normal(size=(1, 7, 9, 1)).astype("float32")
    assert_equivariant(model, inputs, "PMw", output_group="P4M")
    assert equivariance_error(model, inputs, "P2", output_group="P4M") > 1e-2


@pytest.mark.parametrize(
    ("kwargs", "shape", "message"),
    [
        ({}, (None, 8, 8), r"needs an image \(batch, height, width, channels\) or a signal on 'P2' .*, 2, channels\)"),
        ({}, (None, 8, 8, 2, 3, 2), "got shape"),
        ({}, (None, 8, 8, 4, 3), "signal on 'P2' has a group axis of length 2.*got shape"),
        ({}, (None, 8, 8, 2, None), "number of channels must be known"),
        ({"group": "P4m"}, None, "Close names: P4M"),
        ({"subgroup": "PMw"}, None, "not a subgroup of group='P4'; use one of P1, P2, P4"),
        ({"subgroup": "P4", "kernel_size": (3, 2)}, None, r"kernel_size=\(3, 2\) differs along axes that 'P4' exchang"),
        ({"subgroup": "P4", "strides": (1, 2)}, None, "strides"),
        ({"subgroup": "P4", "dilation_rate": (1, 2)}, None, "dilation_rate"),
        (
            {"subgroup": "P4", "padding": "same", "strides": 3, "output_padding": (0, 2)},
            None,
            r"output_padding=\(0, 2\) differs",
        ),
        ({"kernel_size": (3, 2)}, (None, 8, 8, 3), r"kernel_size=\(3, 2\) differs along axes that 'P4' exchanges"),
        ({"strides": (3, 2)}, (None, 8, 8, 3), r"strides=\(3, 2\) differs along axes that 'P4' exchanges"),
        ({"strides": 2, "dilation_rate": 2}, None, "cannot both be above 1"),
        ({"padding": "full"}, None, "padding is one of valid_equiv, same_equiv, valid, same"),
        ({"filters": 0}, None, "filters"),
        ({"kernel_size": (3, 3, 3)}, None, "kernel_size is an int or 2 ints"),
        ({"output_padding": 0}, None, "'valid_equiv' sets the size.*leave it out, or use padding='valid'"),
        ({"padding": "valid", "strides": 2, "output_padding": 2}, None, r"\(2, 2\) must be below strides=\(2, 2\)"),
        ({"padding": "valid", "output_padding": -1}, None, "output_padding is an int or 2 ints, at least 0"),
        (
            {"padding": "same", "strides": 2},
            None,
            "drops 0 points at the start and 1 at the end.*What works: padding='same_equiv'; output_padding=0; "
            "a window of at least 2 and its parity",
        ),
        (
            {"padding": "valid", "strides": 4},
            None,
            "adds 0 zeros at the start and 1 at the end.*What works: padding='valid_equiv'; output_padding=0; "
            "a window of at least 4; or",
        ),
        (
            {"padding": "same", "strides": 3, "output_padding": 1},
            None,
            "padding='same' and output_padding=1 breaks equivariance to 'P2' with height window 3.*"
            "padding='same_equiv' without output_padding; output_padding=0 or 2; or allow",
        ),
        ({"group": "P1", "subgroup": "P1", "padding": "same", "kernel_size": 2, "output_padding": 0}, None, None),
        (
            {"group": "P1", "subgroup": "P1", "padding": "same", "kernel_size": 2, "output_padding": 0},
            (None, 8, 1, 3),
            "the width of the input is 1, which leaves no output",
        ),
    ],
)
def test_errors_name_the_layer_and_the_fix(kwargs, shape, message):
    arguments = {"filters": 2, "kernel_size": 3, "group": "P4", "subgroup": "P2", "name": "tested", **kwargs}
    if message is None:
        GroupConv2DTranspose(**arguments)
        return
    with pytest.raises(ValueError, match=message) as raised:
        GroupConv2DTranspose(**arguments).build(shape)
    assert "GroupConv2DTranspose (name='tested')" in str(raised.value)


def test_there_are_no_channel_groups():
    with pytest.raises(ValueError, match=r"GroupConv2DTranspose takes no groups.*got groups=2; leave it out"):
        GroupConv2DTranspose(4, 3, group="P4", groups=2)


def test_there_is_no_fourier_implementation():
    """`"auto"`, which published configs have, and `"dense"` say what it does."""
    with pytest.raises(ValueError, match=r"name='tested'.*'fourier' does not exist for transposed.*'auto' or 'dense'"):
        GroupConv2DTranspose(4, 3, group="P4", implementation="fourier", name="tested")
    for implementation in ("auto", "dense"):
        GroupConv2DTranspose(4, 3, group="P4", implementation=implementation)


def test_an_image_needs_what_the_whole_group_needs(rng):
    """A mirror of the width only; an image is lifted to both mirrors, and then the height counts as well."""
    kwargs = {"strides": (2, 1), "padding": "same", "group": "P2MM", "subgroup": "PMw"}
    _assert_equivariant(GroupConv2DTranspose(2, 3, **kwargs), rng.normal(size=(1, 3, 4, 2, 2)))
    with pytest.raises(ValueError, match=r"breaks equivariance to 'P2MM' with height"):
        GroupConv2DTranspose(2, 3, **kwargs)(rng.normal(size=(1, 3, 4, 2)))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow has graphs without sizes")
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("kernel_size", "strides", "dilation_rate"), [(4, 2, 1), (3, 2, 1), (2, 3, 1), (2, 1, 2)])
def test_graphs_without_sizes(padding, kernel_size, strides, dilation_rate, rng):
    import tensorflow as tf

    layer = GroupConv2DTranspose(
        2,
        kernel_size,
        strides,
        padding,
        dilation_rate=dilation_rate,
        group="P4M",
        subgroup="P2MM",
        allow_non_equivariance=True,
    )
    layer.build((None, None, None, 4, 1))
    graph = tf.function(layer, input_signature=[tf.TensorSpec((None, None, None, 4, 1))])
    for size in ((2, 3), (1, 4)):
        inputs = rng.normal(size=(1, *size, 4, 1)).astype("float32")
        np.testing.assert_allclose(graph(inputs), layer(inputs), atol=1e-5)
    assert graph.get_concrete_function().output_shapes[-2:] == (8, 2)


def test_every_dimension_has_every_group():
    for ndim, group in itertools.chain(*[[(n, group) for group in list_groups(n)] for n in (1, 2, 3)]):
        layer = TRANSPOSE[ndim](1, 2, 2, group=group)
        assert layer.compute_output_shape((None, *(3,) * ndim, 1)) == (None, *(6,) * ndim, layer.group.order, 1)


def test_sizes_that_leave_no_output_are_refused_in_calls_too():
    kwargs = {"padding": "same", "output_padding": 0, "group": "P1", "data_format": "channels_last"}
    layer = GroupConv2DTranspose(2, 2, strides=2, **kwargs)
    assert layer(np.zeros((1, 3, 3, 1), "float32")).shape == (1, 4, 4, 1, 2)
    with pytest.raises(ValueError, match="the height of the input is 1, which leaves no output"):
        layer(np.zeros((1, 1, 1, 1), "float32"))
