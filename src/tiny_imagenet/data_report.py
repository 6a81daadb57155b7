"""What was found in a dataset's images: what a careful person wants to know before believing an accuracy."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tiny_imagenet.dataset import NO_LABEL, Class, Dataset, Image

MAX_LISTED = 20  # of each kind of finding; the counts are of all

Ints = npt.NDArray[np.int64]
Channels = tuple[float, ...]  # red, green, blue


@dataclass(frozen=True)
class Findings:
    """What was found in some images, in their order.

    Attributes:
        file_digests: SHA-256 of each JPEG.
        pixel_digests: SHA-256 of each decoded image.
        num_bytes: Size of each JPEG, int64 [images].
        greyscale: Whether each JPEG has one channel, bool [images].
        colourless: Whether red, green and blue are equal all over, bool [images].
        single_colour: Whether all pixels are equal, bool [images].
        num_pixels: Of all images together.
        sums: Of the pixels' values 0..255 a channel, int64 [3]: integers, so that their order does not matter.
        squares: Of their squares, int64 [3].
    """

    file_digests: list[bytes]
    pixel_digests: list[bytes]
    num_bytes: Ints
    greyscale: npt.NDArray[np.bool_]
    colourless: npt.NDArray[np.bool_]
    single_colour: npt.NDArray[np.bool_]
    num_pixels: int
    sums: Ints
    squares: Ints

    @classmethod
    def join(cls, parts: Sequence[Findings]) -> Findings:
        """Returns the findings of all the parts' images."""
        return cls(
            file_digests=[digest for part in parts for digest in part.file_digests],
            pixel_digests=[digest for part in parts for digest in part.pixel_digests],
            num_bytes=np.concatenate([part.num_bytes for part in parts]),
            greyscale=np.concatenate([part.greyscale for part in parts]),
            colourless=np.concatenate([part.colourless for part in parts]),
            single_colour=np.concatenate([part.single_colour for part in parts]),
            num_pixels=sum(part.num_pixels for part in parts),
            sums=np.sum([part.sums for part in parts], axis=0),
            squares=np.sum([part.squares for part in parts], axis=0),
        )

    def mean_and_std(self) -> tuple[Channels, Channels]:
        """Returns the mean and the standard deviation a channel, as fractions of the full range."""
        count = self.num_pixels
        pairs = list(zip(self.sums.tolist(), self.squares.tolist(), strict=True))  # Python's integers do not overflow
        mean = tuple(total / count / 255 for total, _ in pairs)
        std = tuple(math.sqrt((square * count - total**2) / count**2) / 255 for total, square in pairs)
        return mean, std


def inspect(files: Sequence[bytes], pixels: npt.NDArray[np.uint8], greyscale: npt.NDArray[np.bool_]) -> Findings:
    """Inspects a batch of images.

    Args:
        files: The JPEGs.
        pixels: The same decoded, uint8 [images, height, width, 3].
        greyscale: Whether each JPEG has one channel, bool [images].
    """
    # Over the images first: that is ten times as fast, and 2**16 images would fit in 32 bits.
    squares = np.square(pixels, dtype=np.uint16).sum(axis=0, dtype=np.uint32)
    sums = pixels.sum(axis=0, dtype=np.uint32)
    colourless = (pixels[..., 0] == pixels[..., 1]) & (pixels[..., 1] == pixels[..., 2])
    plain_row = (pixels[:, 0] == pixels[:, 0, :1]).all(axis=(1, 2))  # few get past this
    return Findings(
        file_digests=[hashlib.sha256(data).digest() for data in files],
        pixel_digests=[hashlib.sha256(image).digest() for image in pixels],
        num_bytes=np.array([len(data) for data in files]),
        greyscale=greyscale,
        colourless=colourless.all(axis=(1, 2)),
        single_colour=np.array(
            [row and bool(np.all(image == image[0, 0])) for row, image in zip(plain_row, pixels, strict=True)]
        ),
        num_pixels=pixels.shape[0] * pixels.shape[1] * pixels.shape[2],
        sums=sums.sum(axis=(0, 1), dtype=np.int64),
        squares=squares.sum(axis=(0, 1), dtype=np.int64),
    )


class Member(NamedTuple):
    """An image among all, to find its like."""

    split: str
    name: str
    label: int
    file_digest: bytes
    pixel_digest: bytes


def make_report(name: str, image_size: int, dataset: Dataset, findings: dict[str, Findings]) -> dict[str, Any]:
    """Returns the data report: counts, and lists of files capped at `MAX_LISTED`.

    Args:
        name: Of the dataset.
        image_size: Side of the images in pixels.
        dataset: What the archive holds.
        findings: Of each split's images, in the order of `dataset.splits`.
    """
    mean, std = findings["train"].mean_and_std()
    members = list(_members(dataset, findings))
    return {
        "dataset": name,
        "image_size": image_size,
        "num_classes": len(dataset.classes),
        "num_images": sum(len(images) for images in dataset.splits.values()),
        "train_mean": mean,
        "train_std": std,
        "splits": {
            split: _describe_split(dataset.classes, images, findings[split]) for split, images in dataset.splits.items()
        },
        "identical_files": _repeats(members, lambda member: member.file_digest, 1),
        "identical_pixels_of_different_files": _repeats(members, lambda member: member.pixel_digest, 2),
        "classes_without_words": [item.wnid for item in dataset.classes if item.words == item.wnid],
        "classes_of_equal_words": _share(dataset.classes, lambda words: words),
        "classes_of_equal_first_word": _share(dataset.classes, lambda words: words.partition(",")[0]),
    }


def _members(dataset: Dataset, findings: dict[str, Findings]) -> Iterator[Member]:
    for split, images in dataset.splits.items():
        found = findings[split]
        for image, *digests in zip(images, found.file_digests, found.pixel_digests, strict=True):
            yield Member(split, image.name, image.label, *digests)


def _describe_split(classes: tuple[Class, ...], images: list[Image], found: Findings) -> dict[str, Any]:
    described: dict[str, Any] = {
        "num_images": len(images),
        "jpeg_bytes": {
            "min": int(found.num_bytes.min()),
            "mean": round(float(found.num_bytes.mean()), 1),
            "max": int(found.num_bytes.max()),
            "total": int(found.num_bytes.sum()),
        },
        "greyscale_files": int(found.greyscale.sum()),
        "colour_files_without_colour": int((found.colourless & ~found.greyscale).sum()),
        "single_colour": _listed(
            [image.name for image, single in zip(images, found.single_colour, strict=True) if single]
        ),
    }
    counts = Counter(image.label for image in images)
    if counts.keys() == {NO_LABEL}:
        return described
    per_class = [counts[label] for label in range(len(classes))]
    usual = Counter(per_class).most_common(1)[0][0]
    unusual = [f"{item.wnid}: {n}" for item, n in zip(classes, per_class, strict=True) if n != usual]
    return described | {
        "images_per_class": {"min": min(per_class), "max": max(per_class), "unusual": _listed(unusual)},
        "greyscale_files_per_class": _greyscale_per_class(classes, images, found),
    }


def _greyscale_per_class(classes: tuple[Class, ...], images: list[Image], found: Findings) -> dict[str, Any]:
    counts = Counter(image.label for image, grey in zip(images, found.greyscale, strict=True) if grey)
    if not counts:
        return {"max": 0}
    most = max(range(len(classes)), key=lambda label: counts[label])
    return {"max": counts[most], "class": classes[most].wnid}


def _repeats(members: list[Member], key: Callable[[Member], bytes], least_files: int) -> dict[str, Any]:
    """Counts contents that occur more than once, within each split and between each two.

    Args:
        members: All images.
        key: Two images with the same key have the same content.
        least_files: Of the files with the same content, so many must differ.
    """
    groups: dict[bytes, list[Member]] = defaultdict(list)
    for member in members:
        groups[key(member)].append(member)
    repeated = [group for group in groups.values() if len(group) > 1]
    found = {}
    for pair in combinations_with_replacement(dict.fromkeys(member.split for member in members), 2):
        parts = [[member for member in group if member.split in pair] for group in repeated]
        parts = [part for part in parts if len(part) > 1 and {member.split for member in part} == set(pair)]
        parts = [part for part in parts if len({member.file_digest for member in part}) >= least_files]
        labels = [{member.label for member in part} - {NO_LABEL} for part in parts]
        found["_and_".join(dict.fromkeys(pair))] = {
            "contents": len(parts),
            "contents_of_several_classes": sum(len(several) > 1 for several in labels),
            "images": {split: sum(member.split == split for part in parts for member in part) for split in pair},
            "first": sorted(" = ".join(sorted(member.name for member in part)) for part in parts)[:MAX_LISTED],
        }
    return found


def _share(classes: Iterable[Class], key: Callable[[str], str]) -> list[str]:
    wnids = defaultdict(list)
    for item in classes:
        wnids[key(item.words)].append(item.wnid)
    return [f"{words}: {', '.join(group)}" for words, group in sorted(wnids.items()) if len(group) > 1]


def _listed(items: list[str]) -> dict[str, Any]:
    return {"count": len(items), "first": items[:MAX_LISTED]}
