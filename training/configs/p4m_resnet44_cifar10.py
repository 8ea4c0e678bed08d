"""ResNet-44 on the group P4M on CIFAR-10, exactly equivariant.

Paper: 4.94 % error with its own recipe and a net that is not exactly equivariant (Cohen & Welling 2016, arXiv
1602.07576). Aim for that.
Recipe: the short one of training/configs/_cifar10.py, 60 epochs in batches of 200, which 2, 4 or 8 devices can share.
Expect: the figure of the paper, which nobody has tried to its end here.
Time: needs a GPU (KERAS_BACKEND=jax): an epoch takes 11 seconds on an H100. Not run to its end yet, only two steps of
      it in the tests.
Command: python -m training.train p4m_resnet44_cifar10 --data FOLDER
"""

from training.configs._cifar10 import CARD, short
from training.configs._common import COHEN, INVARIANT_ON_P4M

CONFIG = {
    **short(60, batch_size=200),
    "name": "p4m_resnet44.cifar10",
    "model": "p4m_resnet44",
    "paper": {**COHEN, "test_error": 4.94},
    "card": {**CARD, "about": INVARIANT_ON_P4M},
}
