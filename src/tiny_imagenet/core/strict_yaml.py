"""Strict reading of YAML and JSON files: each error is one line that names the file and the key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from tiny_imagenet.core.errors import InputError, first_line

UNKNOWN_KEY, OWN_ERROR = "extra_forbidden", "value_error"  # pydantic's types of errors
MAX_SHOWN = 120  # characters of a value in an error
RENAMED = {  # keys of earlier versions of params.yaml
    "warmup": "warmup_fraction",
    "flip_averaging": "flip_tta",
    "stretch": "rescale_max",
    "horizontal_flip": "flip",
}
REMOVED = ("clip_norm",)  # keys of earlier versions that no recipe used
T = TypeVar("T")


def check(kind: type[T], raw: Any, where: str) -> T:
    """Returns `raw` as an instance of a pydantic model.

    Args:
        kind: The model.
        raw: The content of a file, or a part of it.
        where: The file, or the file and the key, for the error.

    Raises:
        InputError: A key is unknown, missing, of the wrong type or out of range; names the first one.
    """
    try:
        return TypeAdapter(kind).validate_python(raw)
    except ValidationError as error:
        raise _as_input_error(kind, error, where) from None


def load_json(kind: type[T], path: Path, todo: str) -> T:
    """Reads a JSON file as an instance of a pydantic model.

    Raises:
        InputError: The file is missing or invalid; `todo` is the remedy.
    """
    try:
        return parse_json(kind, path.read_bytes(), path, todo)
    except OSError as error:
        raise InputError(path, error.strerror or str(error), todo) from None


def parse_json(kind: type[T], content: bytes, where: object, todo: str) -> T:
    """Returns JSON as an instance of a pydantic model.

    Raises:
        InputError: It is invalid; names `where`, and `todo` is the remedy.
    """
    try:
        return TypeAdapter(kind).validate_json(content)
    except ValidationError as error:
        problem = error.errors()[0]
    what = f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}".lstrip(": ")
    raise InputError(where, what, todo)


def _as_input_error(kind: Any, error: ValidationError, where: str) -> InputError:
    problem = min(error.errors(), key=lambda found: found["type"] != UNKNOWN_KEY)
    loc = [_shortened(str(part)) for part in problem["loc"] if part != "[key]"]
    key = f"{where}: {'.'.join(loc)}" if loc else where
    if problem["type"] == UNKNOWN_KEY:
        known = _keys(kind, loc[:-1])
        if RENAMED.get(loc[-1]) in known:
            return InputError(key, f"is now {RENAMED[loc[-1]]!r}", "rename it")
        if loc[-1] in REMOVED:
            return InputError(key, "was removed: no recipe used it", "remove it")
        return InputError(key, "unknown key", nearest(loc[-1], known))
    if problem["type"] == "missing":
        return InputError(key, "is missing", "add it")
    message = str(problem["ctx"]["error"]) if problem["type"] == OWN_ERROR else problem["msg"]
    todo, shown = message[0].lower() + message[1:], problem["input"]
    return InputError(key, f"got {_shortened(repr(shown))}" if not isinstance(shown, dict) else "invalid", todo)


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _keys(kind: Any, loc: list[str]) -> list[str]:
    """Returns the keys that the mapping at `loc` in a model can have."""
    schema = TypeAdapter(kind).json_schema()
    definitions = schema.get("$defs", {})
    for part in loc:
        of_any_name = schema.get("additionalProperties") or schema.get("items", {})
        of_any_name = next(iter(schema.get("patternProperties", {}).values()), of_any_name)
        schema = schema.get("properties", {}).get(part, of_any_name)
        reference = next((each["$ref"] for each in (schema, *schema.get("anyOf", ())) if "$ref" in each), "")
        schema = definitions.get(reference.rpartition("/")[2], schema)
    return sorted(schema.get("properties", {}))


def nearest(name: object, known: Iterable[object]) -> str:
    """Returns the remedy for an unknown name: the nearest known one, or the list of all."""
    names = [str(item) for item in known]
    close = difflib.get_close_matches(str(name), names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"choose among {', '.join(names)}"


def read_yaml(path: Path) -> dict[str, Any]:
    """Reads a mapping from a YAML 1.2 file, as DVC does; a duplicate key is an error.

    Raises:
        InputError: The file is missing, or is not such a mapping; names line and column of a syntax error.
    """
    try:
        raw = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(path, "not found", "run from the repository's root") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read: {error}", "correct the file") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        what = str(error.problem).splitlines()[0].split(" with value")[0]
        todo = "remove one of the two" if isinstance(error, DuplicateKeyError) else "fix the syntax at this line"
        raise InputError(path, f"{place}{what}", todo) from None
    except (YAMLError, RecursionError, ValueError) as error:
        raise InputError(path, first_line(error), "fix the syntax") from None
    if not isinstance(raw, dict):
        raise InputError(path, "is not a mapping", "restore it with git")
    return raw
