"""Stage fetch: the dataset's archive, verified, as data/archive.zip."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tiny_imagenet.archive.digits import write_digits_archive
from tiny_imagenet.archive.download import download
from tiny_imagenet.archive.verification import verify
from tiny_imagenet.core.disk import disk_errors, require_free_bytes
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.files import atomic_write
from tiny_imagenet.core.params import load_params
from tiny_imagenet.core.process import stage_process
from tiny_imagenet.core.schema import Dataset

ARCHIVE = Path("data/archive.zip")
VARIABLE = "TINY_IMAGENET_ARCHIVE"  # names a local archive to use instead of the download


def main() -> None:
    """Writes, copies or downloads the archive of the dataset named in params.yaml."""
    params = load_params()
    dataset = params.dataset
    if dataset.builtin == "digits":
        with disk_errors(ARCHIVE, needed_bytes=2**22):
            write_digits_archive(ARCHIVE)
    elif local := os.environ.get(VARIABLE):
        copy(Path(local), dataset)
    elif dataset.url is not None:
        download(dataset.url, ARCHIVE, lambda path: check(path, dataset), dataset.size_bytes)
    else:
        where = f"params.yaml: datasets.{params.dataset_name}"
        raise InputError(where, "has no url", f"add one, or set {VARIABLE} to a local copy of the archive")


def copy(source: Path, dataset: Dataset) -> None:
    """Checks a local archive and copies it to data/archive.zip."""
    if not source.is_file():
        raise InputError(f"{VARIABLE}={source}", "no such file", "correct the path, or unset the variable to download")
    check(source, dataset)
    num_bytes = source.stat().st_size
    with disk_errors(ARCHIVE, num_bytes), atomic_write(ARCHIVE) as temporary:
        require_free_bytes(ARCHIVE, num_bytes)
        shutil.copyfile(source, temporary)


def check(path: Path, dataset: Dataset) -> None:
    """Raises an InputError unless the file is the dataset's archive."""
    verify(path, dataset.sha256, dataset.content_sha256, dataset.size_bytes)


if __name__ == "__main__":
    with stage_process("fetch"):
        main()
