"""P4CNN on the group P4M, rotations and mirrors, on rotated MNIST: not in the paper, for comparison.

Paper: none has this net. Mirrored digits are other digits, so the mirrors may help or harm. 26,799 parameters.
Recipe: all 12,000 training digits, Adam 1e-3, batch 128, 100 epochs, no schedule, last epoch.
Time: about 20 minutes on 2 cores of a CPU with TensorFlow (Keras 3.15), when nothing else runs; not run yet.
Command: python -m training.train p4mcnn_rotmnist
"""

CONFIG = {
    "name": "p4mcnn.rotmnist",
    "model": "p4mcnn",
    "dataset": "rotated_mnist",
    "epochs": 100,
    "batch_size": 128,
    "optimizer": {"class_name": "Adam", "config": {"learning_rate": 1e-3}},
    "paper": None,
    "card": {
        "about": "Its logits do not change when the image is turned by 90, 180 or 270 degrees or mirrored.",
        "usage": "images (n, 28, 28) uint8, light digits on dark",
        "paper_data": "original rotated MNIST (test), 50,000 examples",
        "difference": "The original data set cannot be regenerated exactly (its seed and interpolation are not known), "
        "so the figures are comparable, not identical.",
        "limits": "Images other than single, centred, light-on-dark digits of 28 x 28 pixels; a 6 and a 9 look alike "
        "once they are turned.",
        "citation": "Cohen and Welling, Group Equivariant Convolutional Networks, ICML 2016 (arXiv 1602.07576).",
    },
}
