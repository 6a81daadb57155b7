"""Pictures of every mode and format are converted to a dataset's images; anything else is a one-line error."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from tests.support.tiny_archive import jpeg

from tiny_imagenet.cli.pictures import SUFFIXES, find_pictures, make_square, open_picture, read_picture
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.records.jpeg import decode

SIZE = 16
RED, GREEN, BLUE, WHITE, GRAY = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (76, 76, 76)


def save(path: Path, image: PIL.Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def assert_color(pixels: np.ndarray, color: tuple[int, int, int], tolerance: int = 2) -> None:
    assert (pixels.shape, pixels.dtype) == ((SIZE, SIZE, 3), np.uint8)
    assert np.abs(pixels.astype(int) - color).max() <= tolerance, pixels[SIZE // 2, SIZE // 2]


@pytest.mark.parametrize(
    ("mode", "suffix", "color"),
    [
        *[("RGB", suffix, RED) for suffix in ("jpg", "png", "webp", "gif", "bmp", "tif", "avif", "jp2", "ppm")],
        *[("L", suffix, GRAY) for suffix in ("jpg", "png", "gif", "tif", "pgm")],
        *[("P", suffix, RED) for suffix in ("png", "gif", "bmp")],
        *[("CMYK", suffix, RED) for suffix in ("jpg", "tif")],
        *[("RGBA", suffix, RED) for suffix in ("png", "webp", "tif")],
        *[("LA", "png", GRAY), ("YCbCr", "jpg", RED), ("YCbCr", "tif", RED), ("LAB", "tif", RED)],
    ],
)
def test_any_mode_and_format(tmp_path: Path, mode: str, suffix: str, color: tuple[int, int, int]) -> None:
    image = PIL.Image.new("RGBA" if "A" in mode and mode != "LAB" else "RGB", (70, 50), RED)
    if mode == "LAB":
        image, color = PIL.Image.new("LAB", (70, 50), (255, 128, 128)), WHITE
    elif mode != image.mode:
        image = image.convert(mode)
    assert_color(read_picture(save(tmp_path / f"picture.{suffix}", image), SIZE), color)


def test_transparent_pixels_become_white(tmp_path: Path) -> None:
    clear = PIL.Image.new("RGBA", (40, 40), (*BLUE, 0))
    assert_color(read_picture(save(tmp_path / "rgba.png", clear), SIZE), WHITE)
    palette = PIL.Image.new("P", (40, 40), 1)
    palette.putpalette([*RED, *BLUE])
    assert_color(read_picture(save(tmp_path / "palette.png", palette, transparency=1), SIZE), WHITE)
    assert_color(read_picture(save(tmp_path / "palette.gif", palette, transparency=0), SIZE), BLUE)
    half = PIL.Image.new("RGBA", (40, 40), (*RED, 128))
    assert_color(read_picture(save(tmp_path / "half.png", half), SIZE), (255, 127, 127))


def test_16_bit_gray_keeps_its_upper_byte(tmp_path: Path) -> None:
    for value in (0, 40_000, 65_535):
        gray = PIL.Image.fromarray(np.full((30, 40), value, np.uint16))
        for name in ("gray.png", "gray.tif"):
            assert_color(read_picture(save(tmp_path / name, gray), SIZE), (value >> 8,) * 3, 0)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_numbers_without_a_range_are_scaled_to_0_to_255(tmp_path: Path, dtype: type) -> None:
    values = np.zeros((SIZE, SIZE), dtype)
    values[:, 4:8], values[:, 8:] = 500, -500
    pixels = read_picture(save(tmp_path / "numbers.tif", PIL.Image.fromarray(values)), SIZE)
    assert [pixels[0, at, 0] for at in (0, 4, 8)] == [128, 255, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((SIZE, SIZE, 3), np.uint8)
    upright[: SIZE // 2, : SIZE // 2], upright[SIZE // 2 :, : SIZE // 2] = RED, GREEN
    turn = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    stored = PIL.Image.fromarray(np.ascontiguousarray(turn[orientation]))
    pixels = read_picture(save(tmp_path / "photo.png", stored, exif=exif), SIZE)
    np.testing.assert_array_equal(pixels, upright)


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_only_the_first_frame_is_read(tmp_path: Path, suffix: str) -> None:
    frames = [PIL.Image.new("RGB", (20, 20), color) for color in (RED, GREEN, BLUE)]
    path = save(tmp_path / f"frames.{suffix}", frames[0], save_all=True, append_images=frames[1:])
    with PIL.Image.open(path) as file:
        assert file.n_frames == 3
    assert_color(read_picture(path, SIZE), RED)


@pytest.mark.parametrize(("width", "height"), [(90, 30), (30, 90), (300, 100), (9, 3)])
def test_the_central_square_is_kept(tmp_path: Path, width: int, height: int) -> None:
    pixels = np.full((height, width, 3), RED, np.uint8)
    side = min(width, height)
    top, left = (height - side) // 2, (width - side) // 2
    pixels[top : top + side, left : left + side] = GREEN
    assert_color(read_picture(save(tmp_path / "long.png", PIL.Image.fromarray(pixels)), SIZE), GREEN, 0)


def test_downscaling_is_antialiased(tmp_path: Path) -> None:
    stripes = np.zeros((160, 160, 3), np.uint8)
    stripes[:, ::2] = 255  # every pixel picked without antialiasing would be black or white
    assert_color(read_picture(save(tmp_path / "stripes.png", PIL.Image.fromarray(stripes)), SIZE), (128,) * 3, 12)


def test_a_large_jpeg_decoded_at_reduced_size_is_nearly_equal(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    large = PIL.Image.fromarray(noise).resize((1600, 1200), PIL.Image.Resampling.BICUBIC)
    path = save(tmp_path / "large.jpg", large, quality=95)
    assert [open_picture(path, min_size).size[0] for min_size in (1, 300, 301, 601)] == [400, 400, 800, 1600]
    difference = read_picture(path, SIZE).astype(int) - np.asarray(make_square(open_picture(path, 1200), SIZE))
    assert np.abs(difference).max() <= 1


def test_an_image_of_the_dataset_keeps_its_pixels(tmp_path: Path) -> None:
    for seed, mode in ((1, "RGB"), (2, "L")):
        data = jpeg(seed, (SIZE, SIZE), mode)
        (tmp_path / "image.JPEG").write_bytes(data)
        expected, _ = decode([data], ["image"], SIZE)
        np.testing.assert_array_equal(read_picture(tmp_path / "image.JPEG", SIZE), expected[0])


def huge_png() -> bytes:
    file = io.BytesIO()
    PIL.Image.new("L", (1, 1)).save(file, "PNG")
    data = bytearray(file.getvalue())
    data[16:24] = struct.pack(">II", 65_500, 65_500)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is not a picture in a supported format"),
        (b"no picture at all", "is not a picture in a supported format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not a picture in a supported format"),
        (jpeg(1, (200, 200))[:900], "cannot be read (image file is truncated"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "is not a picture in a supported format"),
        (huge_png(), "has more than"),
    ],
)
def test_an_unreadable_file(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "file.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_picture(path, SIZE)
    assert f"{path}: {what}" in str(caught.value)


def test_no_such_file_and_no_permission(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_picture(tmp_path / "absent.png", SIZE)
    with pytest.raises(InputError, match="cannot be read"):
        read_picture(tmp_path, SIZE)


def test_the_pictures_of_a_folder(tmp_path: Path) -> None:
    names = ["b.PNG", "a.jpg", "more/c.webp", "more/notes.txt", ".hidden/d.png", ".e.jpg", "Thumbs.db"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "pipe.png")
    found = [path.relative_to(tmp_path).as_posix() for path in find_pictures(tmp_path)]
    assert found == ["a.jpg", "b.PNG", "more/c.webp"]
    assert find_pictures(tmp_path / "Thumbs.db") == [tmp_path / "Thumbs.db"]  # a named file is not filtered
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no picture"):
        find_pictures(tmp_path / "empty")


def test_the_suffixes_are_those_of_the_formats() -> None:
    PIL.Image.init()
    assert set(SUFFIXES) <= set(PIL.Image.registered_extensions())
