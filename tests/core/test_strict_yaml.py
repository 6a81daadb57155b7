"""Strict reading: YAML 1.2, and one line for each error."""

import datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, model_validator

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.strict_yaml import check, load_json, nearest, read_yaml


class Point(BaseModel):
    model_config = ConfigDict(extra="forbid")

    x: int
    y: int = 0
    color: Literal["red", "blue"] = "red"

    @model_validator(mode="after")
    def _ordered(self) -> "Point":
        if self.x > self.y + 10:
            raise ValueError("Y must be at least x - 10")
        return self


class Drawing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str = ""
    points: list[Point] = []
    named: dict[str, Point] = {}
    origin: Point | None = None
    flip: bool = False


def read(folder: Path, text: str) -> dict[str, Any]:
    (folder / "a.yaml").write_text(text, encoding="utf-8")
    return read_yaml(folder / "a.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("12:30", "12:30"),
        ("1:30:00", "1:30:00"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("1e-3", 1e-3),
        ("1E3", 1000.0),
        ("5.e+1", 50.0),
        (".5", 0.5),
        ("-.inf", -float("inf")),
        ("010", 10),
        ("0o10", 8),
        ("0x10", 16),
        ("'010'", "010"),
        ("2026-01-02", datetime.date(2026, 1, 2)),
        ("[1, 2.5, a b]", [1, 2.5, "a b"]),
        ("{a: 1}", {"a": 1}),
        ("größe", "größe"),
    ],
)
def test_values_are_those_of_yaml_1_2(tmp_path: Path, text: str, value: object) -> None:
    found = read(tmp_path, f"key: {text}\n")["key"]
    assert found == value
    assert type(found) is type(value)


def test_a_merged_mapping_gives_its_keys_and_its_own_come_first(tmp_path: Path) -> None:
    raw = read(tmp_path, "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n")
    assert raw == {"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", 'line 2, column 1: found duplicate key "a"; remove one of the two'),
        ("b:\n  a: 1\n  a: 1\n", 'line 3, column 3: found duplicate key "a"; remove one of the two'),
        ("a: [1\nb: 2\n", r"line 2, column 2: .+; fix the syntax at this line"),
        ("a: *b\n", "line 1, column 4: found undefined alias 'b'; fix the syntax at this line"),
        ("a: !!python/object/apply:os.getcwd []\n", "line 1, column 4: could not determine a constructor for the tag"),
        ("a: 1\n---\nb: 2\n", r"line 2, column 1: .+; fix the syntax at this line"),
        ("a: \x07\n", r"unacceptable character .+; fix the syntax"),
        ("- a\n", "is not a mapping; restore it with git"),
        ("", "is not a mapping; restore it with git"),
        ("a: " + "[" * 2000, r".+; fix the syntax"),
    ],
)
def test_invalid_yaml_is_a_one_line_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"a\.yaml: {message}") as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_missing_or_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: not found; run from the repository's root"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(InputError, match=r"cannot be read: .+; correct the file"):
        read_yaml(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: K\xf6ter\n")
    with pytest.raises(InputError, match=r"latin\.yaml: cannot be read: .*utf-8"):
        read_yaml(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"titel": "a"}, "titel: unknown key; did you mean 'title'?"),
        ({"zzz": 1}, "zzz: unknown key; choose among flip, named, origin, points, title"),
        ({"points": [{"x": 1, "q": 1}]}, "points.0.q: unknown key; choose among color, x, y"),
        ({"named": {"a": {"x": 1, "q": 1}}}, "named.a.q: unknown key; choose among color, x, y"),
        ({"origin": {"x": 1, "colour": "red"}}, "origin.colour: unknown key; did you mean 'color'?"),
        ({"horizontal_flip": True}, "horizontal_flip: is now 'flip'; rename it"),
        ({"warmup": 0.1}, "warmup: unknown key; choose among flip, named, origin, points, title"),
        ({"origin": {}}, "origin.x: is missing; add it"),
        ({"origin": {"x": "a"}}, "origin.x: got 'a'; input should be a valid integer"),
        ({"origin": {"x": 1, "color": "green"}}, "origin.color: got 'green'; input should be 'red' or 'blue'"),
        ({"origin": {"x": 20}}, "origin: invalid; y must be at least x - 10"),
        ({"title": 3, "zzz": 1}, "zzz: unknown key"),
        (3, "a: got 3; input should be a valid dictionary"),
    ],
)
def test_the_first_invalid_key_is_a_one_line_error(raw: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        check(Drawing, raw, "a")
    assert message in str(caught.value)
    assert str(caught.value).startswith("a")
    assert "\n" not in str(caught.value)


def test_valid_content_is_an_instance() -> None:
    drawing = check(Drawing, {"points": [{"x": 1}], "named": {"a": {"x": 2, "color": "blue"}}}, "a")
    assert drawing == Drawing(points=[Point(x=1)], named={"a": Point(x=2, color="blue")})


def test_json_is_read_as_a_model(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"points": [{"x": 1}]}')
    assert load_json(Drawing, tmp_path / "a.json", "") == Drawing(points=[Point(x=1)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file or directory"),
        ("", "Invalid JSON"),
        ("{", "Invalid JSON"),
        ("[]", "Input should be an object"),
        ('{"points": [{"y": 1}]}', "points.0.x: Field required"),
        ('{"zzz": 1}', "zzz: Extra inputs are not permitted"),
    ],
)
def test_invalid_json_is_a_one_line_error_with_the_given_remedy(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=rf"a\.json: {message}.*; write it again$") as caught:
        load_json(Drawing, tmp_path / "a.json", "write it again")
    assert "\n" not in str(caught.value)


def test_the_nearest_name_or_all_names_are_the_remedy() -> None:
    assert nearest("vg", ["resnet", "vgg"]) == "did you mean 'vgg'?"
    assert nearest("zzz", ["resnet", "vgg"]) == "choose among resnet, vgg"
    assert nearest(3, ["resnet"]) == "choose among resnet"
