"""The classes of a dataset, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

NO_LABEL = -1  # of an image whose class was never published


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Class:
    """A class of images, by its WordNet id and its words; its label is its place in `wnids.txt`."""

    wnid: str
    words: str


def first_name(words: str) -> str:
    """Returns the first of a class's names: "sports car" of "sports car, sport car"."""
    return words.split(",")[0].strip()


def short_names(classes: Sequence[Class]) -> list[str]:
    """Returns the first of each class's words, with its wnid where another class has the same."""
    first = [first_name(each.words) for each in classes]
    return [
        f"{name} ({each.wnid})" if first.count(name) > 1 else name for name, each in zip(first, classes, strict=True)
    ]
