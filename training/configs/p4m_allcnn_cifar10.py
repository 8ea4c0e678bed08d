"""All-CNN-C on the group P4M on CIFAR-10, exactly equivariant.

Paper: 7.04 % error with its own recipe and a net that is not exactly equivariant (Cohen & Welling 2016, arXiv
1602.07576). Aim for that.
Recipe: the short one of training/configs/_cifar10.py, 60 epochs in batches of 200, which 2, 4 or 8 devices can share.
Expect: the figure of the paper, which nobody has tried to its end here.
Time: needs a GPU (KERAS_BACKEND=jax). Not run to its end yet, only two steps of it in the tests.
Command: python -m training.train p4m_allcnn_cifar10 --data FOLDER
"""

from training.configs._cifar10 import CARD, short
from training.configs._common import COHEN, INVARIANT_ON_P4M

CONFIG = {
    **short(60, batch_size=200),
    "name": "p4m_allcnn.cifar10",
    "model": "p4m_allcnn",
    "paper": {**COHEN, "test_error": 7.04},
    "card": {**CARD, "about": INVARIANT_ON_P4M},
}
