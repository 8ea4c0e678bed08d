"""ResNet-26 on CIFAR-10 as in Cohen & Welling 2016 (arXiv 1602.07576, the authors' README).

Paper: 5.27 % error on CIFAR10+, a single run.
Recipe: the paper's, as far as it is known (training/configs/_cifar10.py): 300 epochs.
Expect: the figure of the paper, which nobody has tried to its end here.
Time: needs a GPU; not run yet, only two steps of it in the tests.
Command: python -m training.train resnet26_cifar10_paper --data FOLDER
"""

from training.configs._cifar10 import CARD, RESNET
from training.configs._common import COHEN, PLANAR_NET

CONFIG = {
    **RESNET,
    "name": "resnet26.cifar10_paper",
    "model": "resnet26",
    "model_args": {"form": "paper"},
    "paper": {**COHEN, "test_error": 5.27},
    "card": {**CARD, "about": PLANAR_NET},
}
