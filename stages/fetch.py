"""Stage fetch: brings the dataset's archive, verified, to data/archive.zip."""

from __future__ import annotations

import os
from pathlib import Path

from tiny_imagenet.archive import copy_archive, verify
from tiny_imagenet.digits import write_digits_archive
from tiny_imagenet.errors import InputError
from tiny_imagenet.lifecycle import stage_process
from tiny_imagenet.params import load_params

ARCHIVE = Path("data/archive.zip")
VARIABLE = "TINY_IMAGENET_ARCHIVE"  # names a local archive to use instead of the download


def main() -> None:
    """Builds, copies or downloads the archive of the dataset that params.yaml names."""
    params = load_params()
    dataset = params.dataset
    local = os.environ.get(VARIABLE)
    ARCHIVE.parent.mkdir(exist_ok=True)
    if dataset.builtin == "digits":
        write_digits_archive(ARCHIVE)
    elif local:
        source = Path(local)
        if not source.is_file():
            raise InputError(f"{VARIABLE}={local}", "no such file", "correct it, or unset it to download")
        verify(source, dataset.sha256, dataset.content_sha256, dataset.size_bytes)
        copy_archive(source, ARCHIVE)
    else:
        raise InputError(
            f"params.yaml: datasets.{params.dataset_name}",
            "has no url",
            f"set {VARIABLE} to a local copy of the archive",
        )


if __name__ == "__main__":
    with stage_process("fetch"):
        main()
