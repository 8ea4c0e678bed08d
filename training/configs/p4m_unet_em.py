"""p4m_unet on EM membranes (ISBI 2012), after Ronneberger et al. 2015 (arXiv 1505.04597) and Linmans et al. 2018.

Paper: none with these figures: the labels of the challenge's test set are not public, so that six of the 30 labelled
slices are held out here (training/datasets/em_membrane.py lists them).
Recipe: windows of 176 x 176 pixels, turned by any angle, mirrored, bent, changed in intensity; Adam 1e-3 to 0 by a
cosine, batch 4, 40 epochs of 96 windows. unet and p4_unet have 545 thousand parameters, p4m_unet 541.
Expect: pixel error 7.59 %, Dice 80.06 %, AUC 96.57 %, Rand score 95.65 % on the held-out slices (1 seed).
Time: 73 minutes on one core of a CPU with TensorFlow, beside other work.
Command: python -m training.train p4m_unet_em --data FOLDER
"""

from training.configs._em import CARD, RECIPE

CONFIG = {
    **RECIPE,
    "name": "p4m_unet.em",
    "model": "p4m_unet",
    "card": {
        **CARD,
        "about": "Its map of a slice that is turned by 90, 180 or 270 degrees or mirrored is its map, turned likewise.",
    },
}
