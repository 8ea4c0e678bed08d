"""All-CNN-C on the group P4 on CIFAR-10 as in Cohen & Welling 2016 (arXiv 1602.07576, table 2).

Paper: 7.67 % error on CIFAR10+, a single run.
Recipe: the paper's, as far as it is known (training/configs/_cifar10.py): 350 epochs.
Expect: the figure of the paper, which nobody has tried to its end here.
Time: needs a GPU; not run yet, only two steps of it in the tests.
Command: python -m training.train p4_allcnn_cifar10_paper --data FOLDER
"""

from training.configs._cifar10 import ALLCNN, CARD
from training.configs._common import COHEN

CONFIG = {
    **ALLCNN,
    "name": "p4_allcnn.cifar10_paper",
    "model": "p4_allcnn",
    "model_args": {"form": "paper"},
    "paper": {**COHEN, "test_error": 7.67},
    "card": {
        **CARD,
        "about": "In the form of the paper: its strides do not fit even sizes, so that it is not exactly equivariant.",
    },
}
