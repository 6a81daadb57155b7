import pytest
from pydantic import ValidationError

from tiny_imagenet.dataset.classes import Class, short_names


def test_the_short_name_is_the_first_of_the_words() -> None:
    assert short_names([Class("n01", "dog, hound"), Class("n02", " cat ,x"), Class("n03", "n03")]) == [
        "dog",
        "cat",
        "n03",
    ]


def test_equal_short_names_get_their_wnid() -> None:
    classes = [Class("n01", "crane, bird"), Class("n02", "crane, machine"), Class("n03", "dog")]
    assert short_names(classes) == ["crane (n01)", "crane (n02)", "dog"]


@pytest.mark.parametrize(
    "values",
    [
        {"wnid": 1, "words": "dog"},
        {"wnid": "n01"},
        {"wnid": "n01", "words": "x", "a": 1},
        {"wnid": "n01", "words": "dog\x1b[2J"},
        {"wnid": "n01\n", "words": "dog"},
    ],
)
def test_an_invalid_class_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Class(**values)
