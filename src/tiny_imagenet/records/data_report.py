"""Data report: counts, sizes, grayscale and single-color images, duplicates within and between splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations_with_replacement
from typing import Any, NamedTuple

from tiny_imagenet.dataset.classes import NO_LABEL, Class
from tiny_imagenet.records.findings import Findings
from tiny_imagenet.records.splits import Dataset, Image

MAX_LISTED = 20  # items of each list; the counts include all


class Member(NamedTuple):
    """An image with the digests that identify its duplicates."""

    split: str
    name: str
    label: int
    file_digest: bytes
    pixel_digest: bytes


def make_report(name: str, image_size: int, dataset: Dataset, findings: dict[str, Findings]) -> dict[str, Any]:
    """Returns the data report: counts, and lists of at most `MAX_LISTED` files.

    Args:
        name: The dataset's name.
        image_size: Side of the images in pixels.
        dataset: The classes and images of the archive.
        findings: By split, those of its images in the order of `dataset.splits`.
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
        "identical_files": _duplicates(members, lambda member: member.file_digest, 1),
        "identical_pixels_of_different_files": _duplicates(members, lambda member: member.pixel_digest, 2),
        "classes_without_words": [item.wnid for item in dataset.classes if item.words == item.wnid],
        "classes_of_equal_words": _classes_sharing(dataset.classes, lambda words: words),
        "classes_of_equal_first_word": _classes_sharing(dataset.classes, lambda words: words.partition(",")[0]),
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
        "greyscale_files": int(found.grayscale.sum()),
        "colour_files_without_colour": int((found.colorless & ~found.grayscale).sum()),
        "single_colour": _listed(
            [image.name for image, single in zip(images, found.single_color, strict=True) if single]
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
        "greyscale_files_per_class": _grayscale_per_class(classes, images, found),
    }


def _grayscale_per_class(classes: tuple[Class, ...], images: list[Image], found: Findings) -> dict[str, Any]:
    counts = Counter(image.label for image, gray in zip(images, found.grayscale, strict=True) if gray)
    if not counts:
        return {"max": 0}
    most = max(range(len(classes)), key=lambda label: counts[label])
    return {"max": counts[most], "class": classes[most].wnid}


def _duplicates(members: list[Member], key: Callable[[Member], bytes], min_files: int) -> dict[str, Any]:
    """Counts contents that occur more than once, within each split and between each pair of splits.

    Args:
        members: All images.
        key: Images of equal keys have equal content.
        min_files: The least number of different files with that content.
    """
    counts = Counter(map(key, members))
    groups: dict[bytes, list[Member]] = defaultdict(list)
    for member in members:
        if counts[key(member)] > 1:
            groups[key(member)].append(member)
    repeated = list(groups.values())
    found = {}
    for pair in combinations_with_replacement(dict.fromkeys(member.split for member in members), 2):
        parts = [[member for member in group if member.split in pair] for group in repeated]
        parts = [part for part in parts if len(part) > 1 and {member.split for member in part} == set(pair)]
        parts = [part for part in parts if len({member.file_digest for member in part}) >= min_files]
        labels = [{member.label for member in part} - {NO_LABEL} for part in parts]
        found["_and_".join(dict.fromkeys(pair))] = {
            "contents": len(parts),
            "contents_of_several_classes": sum(len(several) > 1 for several in labels),
            "images": {split: sum(member.split == split for part in parts for member in part) for split in pair},
            "first": sorted(" = ".join(sorted(member.name for member in part)) for part in parts)[:MAX_LISTED],
        }
    return found


def _classes_sharing(classes: Iterable[Class], key: Callable[[str], str]) -> list[str]:
    wnids = defaultdict(list)
    for item in classes:
        wnids[key(item.words)].append(item.wnid)
    return [f"{words}: {', '.join(group)}" for words, group in sorted(wnids.items()) if len(group) > 1]


def _listed(items: list[str]) -> dict[str, Any]:
    return {"count": len(items), "first": items[:MAX_LISTED]}
