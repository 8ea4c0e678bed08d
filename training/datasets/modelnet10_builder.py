"""The tensorflow-datasets builder of ModelNet10 as voxels; with it imported, `tfds.load("model_net10")` works."""

from __future__ import annotations

import numpy as np
import tensorflow_datasets as tfds

from training.datasets import modelnet10


class ModelNet10(tfds.core.GeneratorBasedBuilder):
    """Volumes of 32 x 32 x 32 voxels in ten classes; upright, and the test objects turned as well."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {"1.1.0": "In the order of the arrays."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"Put {modelnet10.FILE} into the manual folder."

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=modelnet10.__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "volume": tfds.features.Tensor(shape=(32, 32, 32, 1), dtype=np.uint8, encoding="zlib"),
                    "label": tfds.features.ClassLabel(names=modelnet10.CLASSES),
                }
            ),
            disable_shuffling=True,
            supervised_keys=("volume", "label"),
        )

    def _split_generators(self, dl_manager):
        arrays = modelnet10.load(dl_manager.manual_dir, "voxels32", modelnet10.SPLITS)
        return {split: self._generate_examples(*arrays[split]) for split in modelnet10.SPLITS}

    def _generate_examples(self, volumes, labels):
        for index, (volume, label) in enumerate(zip(volumes, labels, strict=True)):
            yield index, {"volume": volume, "label": int(label)}
