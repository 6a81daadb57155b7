"""A tensorflow-datasets builder on the same folder, as run by `tfds build`. Arguments: FOLDER SCRATCH."""

import shutil
import sys
import tempfile
import time
from pathlib import Path

import tensorflow_datasets as tfds

from benchmarks.peers._tfds_builder import FolderOfClasses
from benchmarks.serving import serve


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
