"""unet on EM membranes (ISBI 2012), after Ronneberger et al. 2015 (arXiv 1505.04597) and Linmans et al. 2018.

Paper: none with these figures: the labels of the challenge's test set are not public, so that six of the 30 labelled
slices are held out here (training/datasets/em_membrane.py lists them).
Recipe: windows of 176 x 176 pixels, turned by any angle, mirrored, bent, changed in intensity; Adam 1e-3 to 0 by a
cosine, batch 4, 40 epochs of 96 windows. unet and p4_unet have 545 thousand parameters, p4m_unet 541.
Expect: pixel error 7.78 %, Dice 79.82 %, AUC 96.33 %, Rand score 94.71 % on the held-out slices (1 seed).
Time: half an hour on 2 cores of a CPU with TensorFlow, shared with other work.
Command: python -m training.train unet_em --data FOLDER
"""

from training.configs._em import CARD, RECIPE

CONFIG = {
    **RECIPE,
    "name": "unet.em",
    "model": "unet",
    "card": {**CARD, "about": "A planar net, for comparison: its map of a turned slice is another map."},
}
