"""P4CNN of g-separable convolutions on rotated MNIST, Lengyel & van Gemert 2021 (arXiv 2106.04914).

Paper: test error 1.97 %, on the original rotated MNIST, with their own recipe. Here the set is regenerated from MNIST,
and the recipe is that of p4cnn, so that the nets can be compared: 25,255 parameters against 24,680.
Recipe: all 12,000 training digits, Adam 1e-3, batch 128, 100 epochs, no schedule, last epoch.
Time: about 20 minutes on 2 cores of a CPU with TensorFlow (Keras 3.15), when nothing else runs; not run yet.
Command: python -m training.train p4cnn_g_rotmnist
"""

from training.configs._rotmnist import LENGYEL, LENGYEL_CARD, RECIPE

CONFIG = {
    **RECIPE,
    "name": "p4cnn_g.rotmnist",
    "model": "p4cnn_g",
    "paper": {**LENGYEL, "test_error": 1.97},
    "card": LENGYEL_CARD,
}
