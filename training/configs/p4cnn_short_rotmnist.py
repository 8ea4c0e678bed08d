"""P4CNN on rotated MNIST by a shorter recipe, for the error against the number of training digits.

Paper: none has this recipe; p4cnn_rotmnist is the paper's.
Recipe: Adam 1e-2 to 0 by a cosine, batch 128, 20 epochs of as many digits as examples_per_epoch says, drawn again and
again from the first train_examples.
Expect: test error 8.18 % (mean of 3 seeds) by the command below.
Time: 2 to 6 minutes on one core of a CPU with TensorFlow (Keras 3.15), the other core busy.
Command: python -m training.train p4cnn_short_rotmnist --set train_examples=1000 --set examples_per_epoch=6000
"""

from training.configs._common import adam_to_zero
from training.configs._rotmnist import CARD, RECIPE

CONFIG = {
    **RECIPE,
    "name": "p4cnn_short.rotmnist",
    "model": "p4cnn",
    **adam_to_zero(epochs=20, learning_rate=1e-2),
    "paper": None,
    "card": CARD,
}
