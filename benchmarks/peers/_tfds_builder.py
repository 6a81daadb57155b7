"""A tensorflow-datasets builder, in a module of its own because a script's main module cannot define one."""

from pathlib import Path

import tensorflow_datasets as tfds


class FolderOfClasses(tfds.core.GeneratorBasedBuilder):
    """JPEG files in one folder per class."""

    VERSION = tfds.core.Version("1.0.0")
    folder: Path

    def _info(self):
        names = sorted(path.name for path in self.folder.iterdir())
        image, label = (
            tfds.features.Image(shape=(64, 64, 3), encoding_format="jpeg"),
            tfds.features.ClassLabel(names=names),
        )
        features = tfds.features.FeaturesDict({"image": image, "label": label})
        return self.dataset_info_from_configs(features=features, supervised_keys=("image", "label"))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for path in self.folder.glob("*/*"):
            yield path.name, {"image": path, "label": path.parent.name}
