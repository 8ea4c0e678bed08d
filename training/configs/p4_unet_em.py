"""p4_unet on EM membranes (ISBI 2012), after Ronneberger et al. 2015 (arXiv 1505.04597) and Linmans et al. 2018.

Paper: none with these figures: the labels of the challenge's test set are not public, so that six of the 30 labelled
slices are held out here (training/datasets/em_membrane.py lists them).
Recipe: windows of 176 x 176 pixels, turned by any angle, mirrored, bent, changed in intensity; Adam 1e-3 to 0 by a
cosine, batch 4, 40 epochs of 96 windows. The three nets have the same number of parameters, within 1 %.
Time: TIME.
Command: python -m training.train p4_unet_em --data FOLDER
"""

CONFIG = {
    "name": "p4_unet.em",
    "model": "p4_unet",
    "model_args": {"input_shape": (None, None, 1)},
    "dataset": "em_membrane",
    "augment": [
        ["elastic", {"size": 176}],
        ["flip", {}],
        ["intensity", {}],
    ],
    "examples_per_epoch": 96,
    "epochs": 40,
    "batch_size": 4,
    "evaluate_batch": 1,
    "optimizer": {"class_name": "Adam", "config": {"learning_rate": 1e-3}},
    "schedule": {"class_name": "CosineDecay", "config": {"initial_learning_rate": 1e-3, "decay_steps": 40}},
    "paper": None,
    "card": {
        "about": "Its map of a slice that is turned by 90, 180 or 270 degrees is the turned map.",
        "usage": "slices (n, height, width) uint8, sizes that are multiples of 8; logits of membrane for each pixel",
        "limits": "Other tissue, stains, microscopes or pixel sizes than slices, 50 nm thick and 4 nm a pixel, of a "
        "fruit fly's nerve cord.",
        "citation": "Arganda-Carreras et al., Crowdsourcing the creation of image segmentation algorithms for "
        "connectomics, Frontiers in Neuroanatomy 2015, for the data.",
    },
}
