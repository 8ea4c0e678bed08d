"""The tensorflow-datasets builder of the EM membranes; with it imported, `tfds.load("em_membrane")` works."""

from __future__ import annotations

import numpy as np
import tensorflow_datasets as tfds

from training.datasets import em_membrane


class EmMembrane(tfds.core.GeneratorBasedBuilder):
    """24 + 6 slices of 512 x 512 pixels with their membranes; the training slices are numbered in `TRAIN_ORDER`."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {"1.1.0": "In the order of the arrays."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"Put {em_membrane.FILE} into the manual folder."

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=em_membrane.__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(512, 512, 1), dtype=np.uint8),
                    "label": tfds.features.Tensor(shape=(512, 512), dtype=np.uint8, encoding="zlib"),
                }
            ),
            disable_shuffling=True,
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        arrays = em_membrane.load(dl_manager.manual_dir, "isbi2012", em_membrane.SPLITS)
        return {split: self._generate_examples(*arrays[split]) for split in em_membrane.SPLITS}

    def _generate_examples(self, slices, labels):
        for index, (image, label) in enumerate(zip(slices, labels, strict=True)):
            yield index, {"image": image, "label": label}
