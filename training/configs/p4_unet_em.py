"""p4_unet on EM membranes (ISBI 2012), after Ronneberger et al. 2015 (arXiv 1505.04597) and Linmans et al. 2018.

Paper: none with these figures: the labels of the challenge's test set are not public, so that six of the 30 labelled
slices are held out here (training/datasets/em_membrane.py lists them).
Recipe: windows of 176 x 176 pixels, turned by any angle, mirrored, bent, changed in intensity; Adam 1e-3 to 0 by a
cosine, batch 4, 40 epochs of 96 windows. unet and p4_unet have 545 thousand parameters, p4m_unet 541.
Expect: pixel error 7.43 %, Dice 80.78 %, AUC 96.69 %, Rand score 97.82 % on the held-out slices (1 seed).
Time: half an hour on one core of a CPU with TensorFlow.
Command: python -m training.train p4_unet_em --data FOLDER
"""

from training.configs._em import CARD, RECIPE

CONFIG = {
    **RECIPE,
    "name": "p4_unet.em",
    "model": "p4_unet",
    "model_args": {**RECIPE["model_args"], "width": 8.5},
    "card": {**CARD, "about": "Its map of a slice that is turned by 90, 180 or 270 degrees is the turned map."},
}
