"""The types of the values in params.yaml: numbers with their ranges, and names."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field

MAX_FLOAT = 1e30  # float32 holds it, and its sums
NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_-]*$")  # what DVC can address: in `models.NAME.epochs`, a dot begins a key
MAX_NAME_LENGTH = 100  # of a dataset, model or recipe: it is a part of file names
# Words that YAML 1.1 or 1.2 reads as another type than text.
YAML_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf"}


def is_name(text: str) -> bool:
    """Returns whether a text can be the name of a dataset, model or recipe."""
    return bool(NAME.fullmatch(text)) and len(text) <= MAX_NAME_LENGTH and text.lower() not in YAML_WORDS


def _no_yaml_word(name: str) -> str:
    if name.lower() in YAML_WORDS:
        raise ValueError("is another type than text in YAML: choose another name")
    return name


def _distinct(entries: dict[str, Any]) -> dict[str, Any]:
    names: dict[str, str] = {}
    for name in entries:
        if names.setdefault(name.casefold(), name) != name:
            other = names[name.casefold()]
            raise ValueError(f"{other!r} and {name!r} would be the same file on some disks: rename one of the two")
    return entries


T = TypeVar("T")
Int = Annotated[int, Field(strict=True)]
Float = Annotated[float, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[Int, Field(ge=1, le=10**9)]
Epochs = Annotated[Int, Field(ge=1, le=100_000)]
BatchSize = Annotated[Int, Field(ge=1, le=2**20)]
Pixels = Annotated[Int, Field(ge=0, le=4096)]
Fraction = Annotated[Float, Field(ge=0, lt=1)]
Share = Annotated[Float, Field(ge=0, le=1)]
NonNegative = Annotated[Float, Field(ge=0, le=MAX_FLOAT)]
Positive = Annotated[Float, Field(gt=0, le=MAX_FLOAT)]
Name = Annotated[
    str,
    Field(pattern=NAME.pattern, max_length=MAX_NAME_LENGTH),
    AfterValidator(_no_yaml_word),
]
Named = Annotated[dict[Name, T], AfterValidator(_distinct)]  # a mapping whose keys become names of files
Seed = Annotated[Int, Field(ge=0, lt=2**31)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Device = Literal["auto", "cpu", "gpu"]
Strategy = Literal["auto", "single", "mirrored", "multi_worker"]
