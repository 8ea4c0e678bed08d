"""Residual net for volumes on ModelNet10 (Wu et al. 2015), group O: all 24 rotations of the cube.

Paper: none with these figures. Figures of the same kind: 82.5 +- 1.4 % accuracy of a plain net and 89.7 +- 0.6 % of one
on the octahedral group, on turned ModelNet10 objects at another resolution (the examples of escnn).
Recipe: upright training objects without empty grids, Adam 2e-3 to 0 by a cosine, batch 32, 15 epochs.
Time: TIME
Command: python -m training.train o_resnet3d_modelnet10 --data FOLDER
"""

CONFIG = {
    "name": "o_resnet3d.modelnet10",
    "model": "o_resnet3d",
    "model_args": {"dropout": 0.1},
    "dataset": "modelnet10",
    "preprocess": "none",
    "epochs": 15,
    "batch_size": 32,
    "evaluate_batch": 50,
    "checkpoint_every": 1,
    "optimizer": {"class_name": "Adam", "config": {"learning_rate": 2e-3}},
    "schedule": {"class_name": "CosineDecay", "config": {"initial_learning_rate": 2e-3, "decay_steps": 15}},
    "paper": None,
    "card": {
        "about": "Its logits do not change when the volume is turned by any of the 24 rotations of the cube.",
        "usage": "volumes (n, 32, 32, 32) of 0 and 1",
        "limits": "Volumes other than one object of the ten classes, filling a grid of 32 x 32 x 32 binary voxels.",
        "citation": "Wu et al., 3D ShapeNets: A Deep Representation for Volumetric Shapes, CVPR 2015, for the data.",
    },
}
