"""All-CNN-C on CIFAR-10, the planar twin of p4m_allcnn_cifar10.

Paper: 8.86 % error with its own recipe (Cohen & Welling 2016, arXiv 1602.07576).
Recipe: the short one of training/configs/_cifar10.py, 60 epochs in batches of 200, which 2, 4 or 8 devices can share.
Expect: the figure of the paper, which nobody has tried to its end here.
Time: needs a GPU (KERAS_BACKEND=jax). Not run to its end yet, only two steps of it in the tests.
Command: python -m training.train z2_allcnn_cifar10 --data FOLDER
"""

from training.configs._cifar10 import CARD, short
from training.configs._common import COHEN, PLANAR_NET

CONFIG = {
    **short(60, batch_size=200),
    "name": "z2_allcnn.cifar10",
    "model": "z2_allcnn",
    "paper": {**COHEN, "test_error": 8.86},
    "card": {**CARD, "about": PLANAR_NET},
}
