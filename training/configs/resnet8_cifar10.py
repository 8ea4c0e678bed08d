"""ResNet-8 of widths 23, 45, 180 on CIFAR-10: the planar twin of p4m_resnet8_cifar10.

Paper: none has this recipe and depth.
Recipe: the short one of training/configs/_cifar10.py, 30 epochs, with the weight decay of wide residual nets, mixed
precision with bfloat16.
Time: not run yet, only two steps of it in the tests.
Command: python -m training.train resnet8_cifar10 --data FOLDER
"""

from training.configs._cifar10 import CARD, short

CONFIG = {
    **short(30),
    "name": "resnet8.cifar10",
    "model": "resnet8",
    "paper": None,
    "card": {**CARD, "about": "A planar net, for comparison: its answers change when the image is turned."},
}
