"""ResNet-8 on the group P4M, widths 8, 16, 64, on CIFAR-10: shallow and wide, for few epochs.

Paper: none has this recipe and depth; aim for less than 9 % error, and less than the planar twin.
Recipe: the short one of training/configs/_cifar10.py, 30 epochs, with the weight decay of wide residual nets (Zagoruyko
& Komodakis 2016, arXiv 1605.07146), mixed precision with bfloat16; its planar twin (resnet8_cifar10) has the same.
Time: about 3 hours on both cores of a CPU with TensorFlow (Keras 3.15); not run to its end yet.
Command: python -m training.train p4m_resnet8_cifar10 --data FOLDER
"""

from training.configs._cifar10 import CARD, short

CONFIG = {
    **short(30),
    "name": "p4m_resnet8.cifar10",
    "model": "p4m_resnet8",
    "paper": None,
    "card": {
        **CARD,
        "about": "Its logits do not change when the image is turned by 90, 180 or 270 degrees or mirrored.",
    },
}
