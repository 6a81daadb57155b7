"""Writing of the archive's images to shards by several processes; the bytes do not depend on their number."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tiny_imagenet.archive.zip_archive import Archive
from tiny_imagenet.dataset.classes import NO_LABEL, Class
from tiny_imagenet.dataset.manifest import Shard
from tiny_imagenet.records.findings import Findings, inspect
from tiny_imagenet.records.jpeg import decode
from tiny_imagenet.records.splits import Dataset, Image
from tiny_imagenet.records.workers import run_in_processes
from tiny_imagenet.records.writer import write_shard

BATCH = 256  # images decoded at once; more is slower


@dataclass(frozen=True)
class Task:
    """One shard to write: all that a worker needs besides the archive."""

    path: Path
    split: str
    images: list[Image]
    classes: tuple[Class, ...]
    image_size: int


class Written(NamedTuple):
    """A written shard and the findings about its images."""

    shard: Shard
    findings: Findings


def plan_shards(dataset: Dataset, image_size: int, directory: Path, shard_images: int) -> list[Task]:
    """Divides each split into shards of at most `shard_images`, whose sizes differ by at most one."""
    tasks = []
    for split, images in dataset.splits.items():
        count = -(-len(images) // shard_images)
        bounds = [len(images) * index // count for index in range(count + 1)]
        for index in range(count):
            path = directory / f"{split}-{index:05d}-of-{count:05d}.tfrecord"
            part = images[bounds[index] : bounds[index + 1]]
            tasks.append(Task(path, split, part, dataset.classes, image_size))
    return tasks


def write_shards(archive_path: Path, tasks: list[Task], workers: int | None = None) -> dict[str, list[Written]]:
    """Writes the shards in parallel and shows the progress.

    Args:
        archive_path: The dataset's zip.
        tasks: The shards to write.
        workers: Number of processes; None: one for each available processor.

    Returns:
        The written shards and their findings, by split, in the order of the tasks.

    Raises:
        InputError: An image is damaged or does not fit the dataset; names it.
        PipelineError: A process was killed, or the disk is full.
    """
    write = functools.partial(_write_in_process, archive_path)
    results = run_in_processes(write, tasks, [len(task.images) for task in tasks], "images", workers)
    written: dict[str, list[Written]] = {}
    for task, result in zip(tasks, results, strict=True):
        written.setdefault(task.split, []).append(result)
    return written


def _write_in_process(archive_path: Path, task: Task) -> Written:
    return write_task(_open_once(archive_path), task)


@functools.cache
def _open_once(archive_path: Path) -> Archive:
    return Archive(archive_path)


def write_task(archive: Archive, task: Task) -> Written:
    """Writes one shard, decoding each image to check and inspect it."""
    found: list[Findings] = []

    def examples() -> Iterator[dict[str, Any]]:
        for start in range(0, len(task.images), BATCH):
            images = task.images[start : start + BATCH]
            encoded = [archive.read(image.name) for image in images]
            names = [f"{archive.path}: {archive.root}/{image.name}" for image in images]
            pixels, grayscale = decode(encoded, names, task.image_size)
            found.append(inspect(encoded, pixels, grayscale))
            for image, data in zip(images, encoded, strict=True):
                yield _example(image, data, task)

    shard = write_shard(task.path, examples())
    return Written(shard, Findings.join(found))


def _example(image: Image, data: bytes, task: Task) -> dict[str, Any]:
    known = image.label != NO_LABEL
    return {
        "image/encoded": data,
        "image/format": b"jpeg",
        "image/height": task.image_size,
        "image/width": task.image_size,
        "image/class/label": image.label,
        "image/class/synset": task.classes[image.label].wnid.encode() if known else b"",
        "image/class/text": task.classes[image.label].words.encode() if known else b"",
        "image/filename": image.name.rpartition("/")[2].encode(),
    }
