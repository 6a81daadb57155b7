"""The classes of a dataset and their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, ConfigDict
from pydantic.dataclasses import dataclass

from tiny_imagenet.dataset.text import printable

NO_LABEL = -1  # of the test images, whose classes are not published


def _require_printable(text: str) -> str:
    if printable(text) != text:
        raise ValueError("has control characters")
    return text


# A text that a terminal prints and does not obey. An archive's texts are made so; other files may have been edited.
Text = Annotated[str, AfterValidator(_require_printable)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class Class:
    """A class of images: its WordNet id and its words. The label is its index in `wnids.txt`."""

    wnid: Text
    words: Text


def first_name(words: str) -> str:
    """Returns the first of a class's names: "sports car" of "sports car, sport car"."""
    return words.split(",")[0].strip()


def short_names(classes: Sequence[Class]) -> list[str]:
    """Returns the first name of each class, with the wnid appended if another class has the same."""
    first = [first_name(each.words) for each in classes]
    return [
        f"{name} ({each.wnid})" if first.count(name) > 1 else name for name, each in zip(first, classes, strict=True)
    ]
