"""ResNet-26 on the group P4M on CIFAR-10 as in Cohen & Welling 2016 (arXiv 1602.07576, the authors' README).

Paper: 4.19 % error on CIFAR10+, a single run.
Recipe: the paper's, as far as it is known (training/configs/_cifar10.py): 300 epochs.
Expect: the figure of the paper, which nobody has tried to its end here.
Time: needs a GPU; not run yet, only two steps of it in the tests.
Command: python -m training.train p4m_resnet26_cifar10_paper --data FOLDER
"""

from training.configs._cifar10 import CARD, RESNET
from training.configs._common import COHEN

CONFIG = {
    **RESNET,
    "name": "p4m_resnet26.cifar10_paper",
    "model": "p4m_resnet26",
    "model_args": {"form": "paper"},
    "paper": {**COHEN, "test_error": 4.19},
    "card": {
        **CARD,
        "about": "In the form of the paper: its strides do not fit even sizes, so that it is not exactly equivariant.",
    },
}
