"""YAML, read strictly and held to a dataclass: whatever is wrong is one line that names the key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from tiny_imagenet.errors import InputError

UNKNOWN_KEY = ("unexpected_keyword_argument", "extra_forbidden")
T = TypeVar("T")


def check(kind: type[T], raw: Any, where: str) -> T:
    """Returns `raw` as an instance of a pydantic dataclass.

    Args:
        kind: The dataclass.
        raw: What was read.
        where: The file, or the file and the key, that it was read from.

    Raises:
        InputError: Names the first key that is unknown, missing, mistyped or out of range.
    """
    try:
        return TypeAdapter(kind).validate_python(raw)
    except ValidationError as error:
        problem = min(error.errors(), key=lambda found: found["type"] not in UNKNOWN_KEY)
    loc = [str(part) for part in problem["loc"]]
    key = f"{where}: {'.'.join(loc)}" if loc else where
    if problem["type"] in UNKNOWN_KEY:
        raise InputError(key, "unknown key", nearest(loc[-1], _keys(kind)))
    if problem["type"] in ("missing", "missing_argument"):
        raise InputError(key, "is missing", "add it")
    todo = problem["msg"][0].lower() + problem["msg"][1:]
    shown = problem["input"]
    raise InputError(key, f"got {shown!r}" if not isinstance(shown, dict) else "invalid", todo)


def _keys(kind: Any) -> list[str]:
    """Returns the keys that a dataclass, and those within it, can have."""
    schema = TypeAdapter(kind).json_schema()
    return sorted({key for each in (schema, *schema.get("$defs", {}).values()) for key in each.get("properties", {})})


def nearest(name: object, known: Iterable[object]) -> str:
    """Returns what to do about an unknown name: take the nearest known one, or choose among all."""
    names = [str(item) for item in known]
    close = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"choose among {', '.join(names)}"


class _Loader(yaml.SafeLoader):
    """Numbers of YAML 1.2 (`1e-3`, and `010` is ten), as DVC reads and writes them, and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands twice", key.start_mark
                )
        return super().construct_mapping(node, deep)


def _decimal(loader: _Loader, node: yaml.ScalarNode) -> int:
    try:
        return int(str(node.value))
    except ValueError:
        raise yaml.constructor.ConstructorError(None, None, f"{node.value} is no number", node.start_mark) from None


_Loader.add_constructor("tag:yaml.org,2002:int", _decimal)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"), list("-+0123456789.")
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads a file that holds a mapping.

    Raises:
        InputError: Names the line and column where the YAML is broken.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError:
        raise InputError(path, "not found", "run from the repository's root") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read: {error}", "mend the file") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise InputError(path, f"{place}{error.problem}", "mend the YAML") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(path, str(error), "mend the YAML") from None
    if not isinstance(raw, dict):
        raise InputError(path, "is not a mapping", "restore it with git")
    return raw
