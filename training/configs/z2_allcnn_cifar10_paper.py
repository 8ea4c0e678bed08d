"""All-CNN-C on CIFAR-10 as in Cohen & Welling 2016 (arXiv 1602.07576, table 2).

Paper: 8.86 % error on CIFAR10+, a single run.
Recipe: the paper's, as far as it is known (training/configs/_cifar10.py): 350 epochs.
Expect: the figure of the paper, which nobody has tried to its end here.
Time: needs a GPU; not run yet, only two steps of it in the tests.
Command: python -m training.train z2_allcnn_cifar10_paper --data FOLDER
"""

from training.configs._cifar10 import ALLCNN, CARD
from training.configs._common import COHEN, PLANAR_NET

CONFIG = {
    **ALLCNN,
    "name": "z2_allcnn.cifar10_paper",
    "model": "z2_allcnn",
    "model_args": {"form": "paper"},
    "paper": {**COHEN, "test_error": 8.86},
    "card": {**CARD, "about": PLANAR_NET},
}
