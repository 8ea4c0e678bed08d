"""ResNet-20 of widths 16, 32, 64 on CIFAR-10: the planar twin of p4m_resnet20_cifar10.

Paper: none has this recipe; He et al. 2015 (arXiv 1512.03385) report 8.75 % error of the net of that size and depth.
Recipe: the short one of training/configs/_cifar10.py, 60 epochs.
Expect: test error 7.92 % (1 seed).
Time: 9 minutes on an H100 that trained three other nets as well, with JAX (Keras 3.15); on one core of a CPU, with
TensorFlow, an epoch takes about 3 minutes.
Command: python -m training.train resnet20_cifar10 --data FOLDER
"""

from training.configs._cifar10 import CARD, short
from training.configs._common import PLANAR_NET

CONFIG = {
    **short(60),
    "name": "resnet20.cifar10",
    "model": "resnet20",
    "model_args": {"widths": (16, 32, 64)},
    "paper": None,
    "card": {**CARD, "about": PLANAR_NET},
}
