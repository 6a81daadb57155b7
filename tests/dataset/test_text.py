import pytest

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.dataset.text import printable


@pytest.mark.parametrize(
    "text", ["Große Hunde, alle", "日本語", "خانه\u200cها", "\U0001f468\u200d\U0001f469", "a\xa0b"]
)
def test_ordinary_text_stays(text: str) -> None:
    assert printable(text) == text


def test_control_characters_become_escapes() -> None:
    assert printable("a\x1b[2J\n\x85\u2028\u202e\ufeffb") == r"a\x1b[2J\n\x85\u2028\u202e\ufeffb"


def test_an_error_is_one_printable_line() -> None:
    error = InputError("a\x1b]0;x\x07.jpg", "line\nbreak", "a\u2028b")
    assert str(error) == r"a\x1b]0;x\x07.jpg: line break; a\u2028b"
