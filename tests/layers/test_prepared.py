"""What layers keep of their kernels for inference: the outputs are those of the weights that they have, always."""

import copy

import keras
import numpy as np
import pytest

from groco import layers

BACKEND = keras.backend.backend()
IS_TORCH = BACKEND == "torch"
CASES = {
    "lifting": (lambda: layers.GroupConv2D(3, 3, group="P4M"), (7, 7, 2)),
    "dense": (lambda: layers.GroupConv2D(3, 3, group="P4M", implementation="dense"), (7, 7, 8, 2)),
    "fourier": (lambda: layers.GroupConv2D(3, 3, group="P4M", implementation="fourier"), (7, 7, 8, 2)),
    "pointwise": (lambda: layers.GroupConv2D(3, 1, group="P4M", implementation="fourier"), (7, 7, 8, 2)),
    "subgroup": (lambda: layers.GroupConv3D(2, 3, group="O", subgroup="D4", implementation="dense"), (4, 4, 4, 24, 2)),
    "transposed": (lambda: layers.GroupConv2DTranspose(3, 2, strides=2, group="P4"), (5, 5, 4, 2)),
    "transposed lifting": (lambda: layers.GroupConv2DTranspose(3, 2, strides=2, group="P4"), (5, 5, 2)),
    "depthwise": (lambda: layers.DepthwiseGroupConv2D(3, group="P4"), (6, 6, 4, 2)),
    "separable": (lambda: layers.SeparableGroupConv2D(3, 3, group="P4", factorization="depthwise"), (6, 6, 4, 2)),
    "g": (lambda: layers.SeparableGroupConv2D(3, 3, group="P4", factorization="g"), (6, 6, 4, 2)),
    "gc": (lambda: layers.SeparableGroupConv2D(3, 3, group="P4", factorization="gc"), (6, 6, 4, 2)),
    "vectors": (lambda: layers.GroupDense(3, group="P4M", ndim=2, implementation="dense"), (8, 2)),
    "vectors, fourier": (lambda: layers.GroupDense(3, group="P4M", ndim=2, implementation="fourier"), (8, 2)),
}


def _infer(layer, inputs):
    if not IS_TORCH:
        return keras.ops.convert_to_numpy(layer(inputs))
    import torch

    with torch.no_grad():
        return keras.ops.convert_to_numpy(layer(inputs))


@pytest.mark.parametrize("case", CASES)
def test_outputs_follow_the_weights(case, rng):
    make, shape = CASES[case]
    inputs = rng.normal(size=(2, *shape)).astype("float32")
    layer, fresh = make(), make()
    fresh.build(inputs.shape)
    first = _infer(layer, inputs)
    np.testing.assert_array_equal(_infer(layer, inputs), first)
    weights = [rng.normal(size=w.shape).astype("float32") for w in layer.weights]
    ways = [lambda w, value: w.assign(value)]
    if IS_TORCH:  # of which the last leaves no trace in the tensor's count of changes
        import torch

        ways.append(lambda w, value: w.value.detach().copy_(torch.as_tensor(value)))
        ways.append(lambda w, value: w.value.data.copy_(torch.as_tensor(value)))
    for scale, change in enumerate(ways, start=1):
        for variable, value in zip(layer.weights, weights, strict=True):
            change(variable, scale * value)
        fresh.set_weights([scale * value for value in weights])
        np.testing.assert_array_equal(_infer(layer, inputs), _infer(fresh, inputs))
        assert not np.allclose(_infer(layer, inputs), first)


def test_trains_after_inference_and_infers_after_training(rng):
    layer = layers.GroupConv2D(2, 3, group="P4")
    model = keras.Sequential([keras.Input((6, 6, 4, 2)), layer])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    inputs = rng.normal(size=(4, 6, 6, 4, 2)).astype("float32")
    before, weights = model.predict(inputs, verbose=0), layer.get_weights()
    model.fit(inputs, np.ones_like(before), epochs=2, verbose=0)
    after = model.predict(inputs, verbose=0)
    assert not np.allclose(before, after)
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    np.testing.assert_allclose(other.predict(inputs, verbose=0), after, atol=1e-6)
    layer.set_weights(weights)
    np.testing.assert_allclose(model.predict(inputs, verbose=0), before, atol=1e-6)


@pytest.fixture
def made(monkeypatch):
    """How often an expanded kernel is made."""
    import groco.layers.conv

    calls = []
    expand = groco.layers.conv.expand_kernel
    monkeypatch.setattr(groco.layers.conv, "expand_kernel", lambda *args: calls.append(1) or expand(*args))
    return calls


@pytest.fixture
def layer():
    layer = layers.GroupConv2D(2, 3, group="P4")
    layer.build((None, 6, 6, 4, 2))
    return layer


@pytest.fixture
def inputs(rng):
    return rng.normal(size=(2, 6, 6, 4, 2)).astype("float32")


def test_a_kernel_is_made_once_for_a_precision(made, layer, inputs):
    for _ in range(3):
        _infer(layer, inputs)
    assert len(made) == 1
    layer.dtype_policy = "mixed_bfloat16"
    for _ in range(3):
        assert _infer(layer, inputs).dtype == "bfloat16"
    assert len(made) == 2


def test_copies_keep_nothing(made, layer, inputs):
    _infer(layer, inputs)
    other = copy.deepcopy(layer)
    np.testing.assert_array_equal(_infer(other, inputs), _infer(layer, inputs))
    assert len(made) == 2


@pytest.mark.parametrize("group", ["P1", "P4M"])
def test_arrays_that_are_written_into_after_they_were_given(group, rng):
    """JAX takes the memory of NumPy's arrays for that of weights, if it is aligned."""
    inputs = rng.normal(size=(2, 5, 5, 2)).astype("float32")
    layer, fresh = (layers.GroupConv2D(3, 3, group=group) for _ in range(2))
    layer.build(inputs.shape)
    fresh.build(inputs.shape)
    weights = [_aligned(w.shape, rng.normal(size=w.shape)) for w in layer.weights]
    for factor in (2, 3, 4):
        layer.set_weights(weights)
        _infer(layer, inputs)
        for array in weights:
            array *= factor
        layer.set_weights(weights)
        fresh.set_weights([array.copy() for array in weights])
        np.testing.assert_array_equal(_infer(layer, inputs), _infer(fresh, inputs))


def _calling(layer):
    return lambda inputs: layer(inputs)


def _aligned(shape, values=0.0):
    """An array of float32 at a multiple of 64 bytes."""
    size = int(np.prod(shape))
    memory = np.zeros(4 * size + 64, "uint8")
    start = -memory.ctypes.data % 64
    array = memory[start : start + 4 * size].view("float32").reshape(shape)
    array[...] = values
    return array


@pytest.mark.skipif(BACKEND != "tensorflow", reason="of TensorFlow")
class TestOnTensorFlow:
    def test_each_time_where_gradients_are_recorded(self, made, layer, inputs):
        import tensorflow as tf

        layer(inputs)
        for _ in range(2):
            with tf.GradientTape() as tape:
                total = tf.reduce_sum(layer(inputs))
            assert float(tf.reduce_sum(tf.abs(tape.gradient(total, layer.kernel.value)))) > 0
        assert len(made) == 3
        kernel = layer.kernel.value
        with tf.autodiff.ForwardAccumulator(kernel, tf.ones_like(kernel)) as accumulator:
            outputs = layer(inputs)
        assert float(tf.reduce_sum(tf.abs(accumulator.jvp(outputs)))) > 0

    def test_functions_follow_the_weights(self, layer, inputs):
        import tensorflow as tf

        layer(inputs)
        function = tf.function(layer)
        first = function(inputs)
        layer.kernel.assign(2 * layer.kernel)
        np.testing.assert_allclose(function(inputs), 2 * first, atol=1e-5)


@pytest.mark.skipif(BACKEND != "jax", reason="of JAX")
class TestOnJax:
    def test_nothing_that_is_traced(self, made, layer, inputs):
        """Weights that are no arguments of what is compiled have numbers there, what is made of them has not."""
        import jax

        traced = jax.jit(lambda inputs: layer(inputs))(inputs)
        np.testing.assert_allclose(layer(inputs), traced, atol=1e-5)
        again = jax.jit(lambda inputs: layer(inputs) + 1)(inputs)
        np.testing.assert_allclose(again - 1, traced, atol=1e-5)

    def test_gradients(self, layer, inputs):
        import jax

        layer(inputs)
        weights = [variable.value for variable in layer.trainable_variables]
        gradients = jax.grad(lambda weights: layer.stateless_call(weights, [], inputs)[0].sum())(weights)
        assert float(abs(gradients[0]).sum()) > 0

    def test_weights_whose_memory_was_given_away(self, layer, inputs):
        """A compiled step of training takes over that of the weights before it."""
        import jax

        first = layer(inputs)
        double = jax.jit(lambda kernel: 2 * kernel, donate_argnums=0)
        layer.kernel.assign(double(layer.kernel.value))
        np.testing.assert_allclose(layer(inputs), 2 * first, atol=1e-5)


@pytest.mark.skipif(not IS_TORCH, reason="of PyTorch")
class TestOnTorch:
    def test_once_in_inference_each_time_with_gradients(self, made, rng):
        import torch

        layer = layers.GroupConv2D(2, 3, group="P4")
        inputs = torch.tensor(rng.normal(size=(2, 6, 6, 4, 2)).astype("float32"))
        layer.build(inputs.shape)
        for _ in range(3):
            with torch.no_grad():
                layer(inputs)
        assert len(made) == 1
        layer(inputs)
        layer(inputs)
        assert len(made) == 3
        with torch.inference_mode():
            layer(inputs)
            layer(inputs)
        assert len(made) == 4
        outputs = layer(inputs)  # what was kept is not part of it
        (gradient,) = torch.autograd.grad(outputs.sum(), [layer.kernel.value])
        assert float(gradient.abs().sum()) > 0

    def test_many_kernels_at_once(self, rng):
        """Under torch.func.vmap a kernel stands for several, of which nothing may be kept."""
        import torch

        layer = layers.GroupConv2D(2, 3, group="P4", use_bias=False)
        inputs = torch.tensor(rng.normal(size=(2, 6, 6, 4, 2)).astype("float32"))
        layer.build(inputs.shape)
        kernels = torch.tensor(rng.normal(size=(3, *layer.kernel.shape)).astype("float32"))
        with torch.no_grad():
            many = torch.func.vmap(lambda kernel: layer.stateless_call([kernel], [], inputs)[0])(kernels)
            for kernel, outputs in zip(kernels, many, strict=True):
                layer.kernel.assign(kernel)
                np.testing.assert_allclose(layer(inputs), outputs, atol=1e-5)

    def test_weights_that_share_their_memory_with_others(self, rng):
        """Averages of the weights put in their place for an evaluation, and changed afterwards."""
        import torch

        inputs = torch.tensor(rng.normal(size=(2, 7, 7, 1, 2)).astype("float32"))
        for group in ("P1", "P4"):
            layer = layers.GroupConv2D(3, 3, group=group, use_bias=False, implementation="dense")
            signal = inputs.expand(-1, -1, -1, layer.group.order, -1)
            layer.build(signal.shape)
            with torch.no_grad():
                first, weights = layer(signal), layer.kernel.value.data
                averages = weights.clone()
                layer.kernel.value.data = averages
                layer(signal)
                layer.kernel.value.data = weights
                averages.mul_(3)
                torch.testing.assert_close(layer(signal), first)

    @pytest.mark.parametrize("implementation", ["dense", "fourier"])
    def test_what_autocast_makes_is_not_kept(self, implementation, rng):
        import torch

        layer = layers.GroupConv2D(3, 3, group="P4", implementation=implementation)
        inputs = torch.tensor(rng.normal(size=(2, 6, 6, 4, 2)).astype("float32"))
        layer.build(inputs.shape)
        with torch.no_grad():
            first = layer(inputs)
            with torch.autocast("cpu", torch.bfloat16):
                torch.testing.assert_close(layer(inputs).float(), first, atol=0.1, rtol=0.1)
            layer.kernel.assign(2 * layer.kernel.value)
            with torch.autocast("cpu", torch.bfloat16):
                layer(inputs)
            assert layer(inputs).dtype == torch.float32

    @pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
    @pytest.mark.parametrize("implementation", ["dense", "fourier"])
    def test_tangents(self, implementation, rng):
        """torch.no_grad is not of the forward mode."""
        import torch
        from torch.autograd import forward_ad

        layer = layers.GroupConv2D(3, 3, group="P4", use_bias=False, implementation=implementation)
        inputs = torch.tensor(rng.normal(size=(2, 6, 6, 4, 2)).astype("float32"))
        layer.build(inputs.shape)
        kernel, tangent = layer.kernel.value.detach(), torch.ones_like(layer.kernel.value)
        with torch.no_grad():
            layer(inputs)
            with forward_ad.dual_level():
                dual = forward_ad.make_dual(kernel, tangent)
                found = forward_ad.unpack_dual(layer.stateless_call([dual], [], inputs)[0]).tangent
            expected = layer.stateless_call([tangent], [], inputs)[0]  # it is linear
            torch.testing.assert_close(found, expected)

    def test_what_looks_at_each_operation(self, rng):
        """With what stands for numbers nothing is kept, and nothing kept is compared."""
        import torch
        from torch._subclasses.fake_tensor import FakeTensorMode
        from torch.fx.experimental.proxy_tensor import make_fx

        inputs = torch.tensor(rng.normal(size=(2, 6, 6, 4, 2)).astype("float32"))
        for before in (False, True):
            layer = layers.GroupConv2D(2, 3, group="P4")
            layer.build(inputs.shape)
            with torch.no_grad():
                if before:
                    layer(inputs)
                with FakeTensorMode(allow_non_fake_inputs=True):
                    assert layer(inputs).shape == (2, 4, 4, 4, 2)
                traced = make_fx(_calling(layer))(inputs)
                torch.testing.assert_close(layer(inputs), traced(inputs))

    def test_is_no_part_of_the_state(self, rng):
        model = keras.Sequential([keras.Input((6, 6, 4, 2)), layers.GroupConv2D(2, 3, group="P4")])
        before = {name: tuple(value.shape) for name, value in model.state_dict().items()}
        model.predict(rng.normal(size=(2, 6, 6, 4, 2)), verbose=0)
        assert {name: tuple(value.shape) for name, value in model.state_dict().items()} == before
