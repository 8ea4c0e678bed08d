"""Residual net for volumes on ModelNet10 (Wu et al. 2015), the plain net, for comparison.

Paper: none with these figures. Figures of the same kind: 82.5 +- 1.4 % accuracy of a plain net and 89.7 +- 0.6 % of one
on the octahedral group, on turned ModelNet10 objects at another resolution (the examples of escnn).
Recipe: upright training objects without empty grids, Adam 2e-3 to 0 by a cosine over 12 epochs, two more at 0, in which
only the statistics of batch normalisation move, batch 16, mixed precision with bfloat16; maximum over group and space.
The two nets have the same number of parameters, within 1 %.
Expect: test error 11.10 %, error of the turned objects 70.26 % (1 seed).
Time: 9 minutes on one core of a CPU with TensorFlow, the other core busy.
Command: python -m training.train resnet3d_modelnet10 --data FOLDER
"""

from training.configs._modelnet10 import CARD, RECIPE

CONFIG = {
    **RECIPE,
    "name": "resnet3d.modelnet10",
    "model": "resnet3d",
    "card": {
        **CARD,
        "about": "A plain net, for comparison: its answers change when the volume is turned.",
    },
}
