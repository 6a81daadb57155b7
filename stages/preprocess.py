"""Stage preprocess: data/archive.zip to checked TFRecord shards with a manifest, and the data report."""

from __future__ import annotations

import time
from pathlib import Path

from tiny_imagenet.archive.zip_archive import Archive
from tiny_imagenet.core.disk import require_writable
from tiny_imagenet.core.files import atomic_directory, write_json
from tiny_imagenet.core.params import load_params
from tiny_imagenet.core.process import stage_process
from tiny_imagenet.dataset.manifest import Manifest, Split, write_manifest
from tiny_imagenet.records.data_report import make_report
from tiny_imagenet.records.findings import Findings
from tiny_imagenet.records.jpeg import image_size
from tiny_imagenet.records.shards import plan_shards, write_shards
from tiny_imagenet.records.splits import hold_out, load_dataset, shuffle_train

ARCHIVE = Path("data/archive.zip")
RECORDS = Path("data/records")
REPORT = Path("reports/data.json")


def main() -> None:
    """Checks every image of the archive, writes data/records and the data report reports/data.json."""
    started = time.monotonic()
    params = load_params()
    settings = params.preprocess
    require_writable(RECORDS.parent, REPORT.parent)
    with Archive(ARCHIVE) as archive:
        dataset = load_dataset(archive)
        first = dataset.splits["train"][0].name
        size = image_size(archive.read(first), f"{ARCHIVE}: {first}")
    dataset = shuffle_train(hold_out(dataset, settings.holdout_per_class, settings.seed), settings.seed)
    with atomic_directory(RECORDS) as directory:
        tasks = plan_shards(dataset, size, directory, settings.shard_images)
        written = write_shards(ARCHIVE, tasks, settings.workers)
        splits = {split: Split.of([item.shard for item in items]) for split, items in written.items()}
        findings = {split: Findings.join([item.findings for item in items]) for split, items in written.items()}
        mean, std = findings["train"].mean_and_std()
        write_manifest(directory, Manifest(params.dataset_name, size, dataset.classes, splits, mean, std))
        write_json(REPORT, make_report(params.dataset_name, size, dataset, findings))
    counts = ", ".join(f"{len(images):,} {split}" for split, images in dataset.splits.items())
    print(f"{params.dataset_name}: {counts} images of {size} x {size} pixels, {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    with stage_process("preprocess"):
        main()
