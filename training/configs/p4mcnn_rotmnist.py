"""P4CNN on the group P4M, rotations and mirrors, on rotated MNIST: not in the paper, for comparison.

Paper: none has this net. Mirrored digits are other digits, so the mirrors may help or harm. 26,799 parameters.
Recipe: all 12,000 training digits, Adam 1e-3, batch 128, 100 epochs, no schedule, last epoch.
Expect: test error 4.18 % (mean of 3 seeds).
Time: 54 minutes on one core of a CPU with TensorFlow (Keras 3.15), the other core busy.
Command: python -m training.train p4mcnn_rotmnist
"""

from training.configs._common import INVARIANT_ON_P4M
from training.configs._rotmnist import CARD, RECIPE

CONFIG = {
    **RECIPE,
    "name": "p4mcnn.rotmnist",
    "model": "p4mcnn",
    "paper": None,
    "card": {
        **CARD,
        "about": INVARIANT_ON_P4M,
        "paper_data": "original rotated MNIST (test), 50,000 examples",
    },
}
