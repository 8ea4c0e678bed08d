"""What all tests share. The backend is that of KERAS_BACKEND, TensorFlow if it is not set."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("JAX_ENABLE_X64", "1")  # float64 is what the definitions are compared in

import keras
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _fresh_keras():
    """Each test has the same random weights whatever ran before it, and leaves no global state behind."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
