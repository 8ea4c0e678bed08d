"""What all tests share. The backend is that of KERAS_BACKEND, TensorFlow if it is not set."""

import itertools
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_ENABLE_X64", "1")  # float64 is what the definitions are compared in
# Of the servers and processes that tests start on this machine.
os.environ["NO_PROXY"] = os.environ["no_proxy"] = os.environ.get("NO_PROXY", "") + ",127.0.0.1,localhost"

import keras
import numpy as np
import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--share",
        type=int,
        default=1,
        metavar="N",
        help="run every N-th case of the tests with more than 2 N cases; for backends that compile each operation",
    )


def pytest_collection_modifyitems(config, items):
    share = config.getoption("--share")
    cases: dict[str, list] = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left_out = {
        item for family in cases.values() if len(family) > 2 * share for item in set(family) - set(family[::share])
    }
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=list(left_out))


@pytest.fixture(autouse=True)
def _fresh_keras():
    """Each test has the same random weights whatever ran before it, and leaves no global state behind."""
    _as_it_comes()
    keras.utils.set_random_seed(0)
    yield
    _drop_compiled_operations()
    _as_it_comes()


def _as_it_comes():
    """Keras without the settings of a test, or of the user."""
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")


def _drop_compiled_operations():
    """JAX keeps what it has compiled for every shape, which in these tests comes to tens of gigabytes."""
    if keras.backend.backend() == "jax":
        import jax

        if next(_tests_run) % 50 == 0:
            jax.clear_caches()


_tests_run = itertools.count(1)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
