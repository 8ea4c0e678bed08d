"""The tensorflow-datasets builder of rotated MNIST; with it imported, `tfds.load("rotated_mnist/...")` works."""

from __future__ import annotations

import numpy as np
import tensorflow_datasets as tfds

from training.datasets import rotated_mnist

MNIST_FILE = "mnist.npz"


class RotatedMnist(tfds.core.GeneratorBasedBuilder):
    """12,000 + 50,000 digits, each turned by a uniform angle; `regenerated` from MNIST or `original`."""

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {"1.1.0": "In the order of the arrays."}
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name="regenerated", description="Made from MNIST with a fixed seed."),
        tfds.core.BuilderConfig(name="original", description="The published files of Larochelle et al. 2007."),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""\
For `original`: download mnist_rotation_new.zip from {rotated_mnist.DOWNLOAD_PAGE} and unpack
{rotated_mnist.AMAT_FILES["train"]} and {rotated_mnist.AMAT_FILES["test"]} into the manual folder.
For `regenerated` nothing is needed: MNIST is taken from {MNIST_FILE} in the manual folder if there is one, and
downloaded by keras.datasets otherwise.
"""

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=rotated_mnist.__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(28, 28, 1), dtype=np.uint8),
                    "label": tfds.features.ClassLabel(names=rotated_mnist.CLASSES),
                }
            ),
            disable_shuffling=True,
            supervised_keys=("image", "label"),
            homepage=rotated_mnist.DOWNLOAD_PAGE,
            citation=_CITATION,
        )

    def _split_generators(self, dl_manager):
        if self.builder_config.name == "original":
            arrays = rotated_mnist.read_original(dl_manager.manual_dir)
        else:
            arrays = rotated_mnist.regenerate(self._given_mnist(dl_manager))
        return {split: self._generate_examples(*arrays[split]) for split in ("train", "test")}

    @staticmethod
    def _given_mnist(dl_manager):
        try:
            path = dl_manager.manual_dir / MNIST_FILE
        except AssertionError:  # there is no manual folder, or nothing in it
            return None
        if not path.exists():
            raise FileNotFoundError(f"The manual folder {dl_manager.manual_dir} has no {MNIST_FILE}.")
        return path

    def _generate_examples(self, images, labels):
        for index, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield index, {"image": image, "label": int(label)}


_CITATION = """\
@inproceedings{larochelle2007empirical,
  title={An empirical evaluation of deep architectures on problems with many factors of variation},
  author={Larochelle, Hugo and Erhan, Dumitru and Courville, Aaron and Bergstra, James and Bengio, Yoshua},
  booktitle={International Conference on Machine Learning},
  year={2007}
}"""
