"""P4M-DenseNet on PatchCamelyon, Veeling et al. 2018 (arXiv 1806.03962).

Paper: accuracy 89.8 %, area under the ROC curve 96.3 %; that is an error of 10.2 %. No weights are claimed here: the
set was not at hand, and only a run of two steps on made-up patches is tested.
Recipe: not the authors', who published no training script; the schedule, the number of epochs, how they chose among
nets and the last details of the net are not known, and others could not reproduce the figures. Here: Adam 1e-3 to 0 by
a cosine, batch 64, 20 epochs of 20,000 patches, last epoch; mean and deviation of each colour; no augmentation, since
the net has the symmetry.
Expect: the figure of the paper, which nobody has tried to its end here.
Time: not measured.
Command: python -m training.prepare patch_camelyon --to FOLDER
         python -m training.train p4m_densenet_pcam --data FOLDER/patch_camelyon/2.0.0
"""

from training.configs._common import adam_to_zero

CONFIG = {
    "name": "p4m_densenet.pcam",
    "model": "p4m_densenet",
    "model_args": {},
    "dataset": "patch_camelyon",
    "preprocess": "standardize_channels",
    "examples_per_epoch": 20_000,
    **adam_to_zero(epochs=20),
    "batch_size": 64,
    "workers": 4,
    "paper": {
        "title": "Rotation Equivariant CNNs for Digital Pathology",
        "arxiv": "1806.03962",
        "test_error": 10.2,
    },
    "card": {
        "about": "Its logits do not change when the patch is turned by 90, 180 or 270 degrees or mirrored.",
        "usage": "patches (n, 96, 96, 3) uint8; logits of normal and tumour tissue in the middle of each",
        "limits": "Not a medical device; other tissue, stains, scanners or magnifications than those of the data.",
        "citation": "Veeling et al., Rotation Equivariant CNNs for Digital Pathology, MICCAI 2018.",
    },
}
