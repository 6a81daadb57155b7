"""A builder of tensorflow-datasets over the same folder, as `tfds build` runs it. FOLDER SCRATCH."""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import tensorflow_datasets as tfds

from benchmarks.serving import serve


class FolderOfClasses(tfds.core.GeneratorBasedBuilder):
    """JPEG files in a folder a class."""

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


def main(folder: str, scratch: str) -> None:
    FolderOfClasses.folder = Path(folder)
    tfds.disable_progress_bar()

    def measure():
        target = tempfile.mkdtemp(dir=scratch)
        began = time.perf_counter()
        builder = FolderOfClasses(data_dir=target)
        builder.download_and_prepare()
        took = time.perf_counter() - began
        images = builder.info.splits["train"].num_examples
        shutil.rmtree(target)
        return {"images_per_second": images / took}

    serve(measure)


if __name__ == "__main__":
    main(*sys.argv[1:])
