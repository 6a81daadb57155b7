import io

import numpy as np
import pytest
from PIL import Image
from tests.support.tiny_archive import SIZE, jpeg

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.records.jpeg import END, START, decode, image_size


def with_header_size(data: bytes, size: int) -> bytes:
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + size.to_bytes(2, "big") * 2 + data[at + 4 :]


def test_pixels_equal_those_of_pillow() -> None:
    files = [jpeg(1), jpeg(2, mode="L"), jpeg(3) + b"trailing bytes"]
    pixels, grayscale = decode(files, ["a", "b", "c"], SIZE)
    expected = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in files]
    np.testing.assert_array_equal(pixels, expected)
    assert grayscale.tolist() == [False, True, False]


def test_fill_bytes_before_a_marker_are_accepted() -> None:
    data = jpeg(1)
    at = data.index(b"\xff\xc0")
    filled = data[:at] + b"\xff\xff" + data[at:]
    np.testing.assert_array_equal(*decode([data, filled], ["a", "b"], SIZE)[0])


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (SIZE, SIZE)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "bad.JPEG: is empty"),
        (jpeg(1)[:100], "bad.JPEG: is truncated or damaged"),
        (jpeg(1)[:-40], "bad.JPEG: is truncated or damaged"),
        (jpeg(1)[:-2], "bad.JPEG: is truncated or damaged"),
        (START + END, "bad.JPEG: is not a JPEG"),
        (START + b"\xff\xc0" + END, "bad.JPEG: is truncated or damaged"),
        (b"<html></html>", "bad.JPEG: is not a JPEG"),
        (png(), "bad.JPEG: is not a JPEG"),
        (jpeg(1, size=(SIZE, SIZE + 1)), "bad.JPEG: is 16 x 17 pixels, the dataset's images are 16 x 16"),
        (jpeg(1, mode="CMYK"), "bad.JPEG: is CMYK, neither grayscale nor RGB"),
        (with_header_size(jpeg(1), 65500), "bad.JPEG: has a header of more than 2048 x 2048 pixels"),
        (with_header_size(jpeg(1), 2500), "bad.JPEG: has a header of more than 2048 x 2048 pixels"),
        (with_header_size(jpeg(1), 2000), "bad.JPEG: is 2000 x 2000 pixels"),
    ],
)
def test_an_invalid_image_is_named(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        decode([jpeg(1), data, jpeg(2)], ["good.JPEG", "bad.JPEG", "fine.JPEG"], SIZE)


def test_image_size_is_read_from_the_header_of_a_square_image() -> None:
    assert image_size(jpeg(1), "x") == SIZE
    with pytest.raises(InputError, match="x: is 16 x 20 pixels, not square"):
        image_size(jpeg(1, size=(16, 20)), "x")
    with pytest.raises(InputError, match="x: has a header of more than"):
        image_size(with_header_size(jpeg(1), 65500), "x")
