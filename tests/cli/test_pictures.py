"""Pictures of every mode and format are converted to a dataset's images; anything else is a one-line error."""

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest
from tests.support.tiny_archive import jpeg

from tiny_imagenet.cli import pictures
from tiny_imagenet.cli.picture_files import SUFFIXES, find_pictures
from tiny_imagenet.cli.pictures import make_square, open_picture, read_picture
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


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


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


def with_exif(data: bytes, content: bytes) -> bytes:
    """Returns a JPEG with an EXIF segment of this content."""
    segment = b"Exif\0\0" + content
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + data[2:]


TURNED = b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"  # orientation 6
OTHER_TYPE = b"\x0f\x01\x63\0\x01\0\0\0\xff\xff\0\0"  # a camera's maker, of a type that does not exist


@pytest.mark.parametrize(
    ("exif", "is_turned"),
    [
        (b"", False),
        (b"no header", False),
        (b"b'Exif\\x00", False),
        (b"II*\0\xff\xff\xff\x7f", False),
        (b"II*\0\x08\0\0\0\x09\0" + TURNED[:7], False),
        (b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x02\0\0\x006\0\0\0\0\0\0\0", False),
        (b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0", False),
        (b"II*\0\x08\0\0\0\x01\0" + TURNED + bytes(4), True),
        (b"II*\0\x08\0\0\0\x02\0" + TURNED + OTHER_TYPE + bytes(4), True),
        (b"II*\0\x08\0\0\0\x02\0" + TURNED, True),
    ],
)
def test_damaged_exif_data_are_ignored(tmp_path: Path, exif: bytes, is_turned: bool) -> None:
    plain = tmp_path / "plain.jpg"
    plain.write_bytes(jpeg(1, (40, 30)))
    (tmp_path / "photo.jpg").write_bytes(with_exif(plain.read_bytes(), exif))
    expected = np.rot90(read_picture(plain, SIZE), -1) if is_turned else read_picture(plain, SIZE)
    difference = read_picture(tmp_path / "photo.jpg", SIZE).astype(int) - expected
    assert np.abs(difference).max() <= 1


def test_damaged_exif_data_print_nothing(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(with_exif(jpeg(1, (40, 30)), b"II*\0\x08\0\0\0\x09\0" + TURNED))
    code = "import sys, pathlib, tiny_imagenet.cli.pictures as p; p.read_picture(pathlib.Path(sys.argv[1]), 16)"
    environment = {"PYTHONPATH": "src"}
    words = [sys.executable, "-c", code, path]
    assert subprocess.run(words, env=environment, check=True, capture_output=True).stderr == b""


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("after_pixels", [False, True])
def test_large_texts_of_a_png_are_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compressed: bool, after_pixels: bool
) -> None:
    monkeypatch.setattr(PIL.PngImagePlugin, "MAX_TEXT_MEMORY", 2_000_000)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    image = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
    plain = save(tmp_path / "plain.png", image, exif=exif)
    text = PIL.PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "x" * 3_000_000, zip=compressed)
    text.add_text("Comment", "y" * 3_000_000, zip=compressed)
    data = plain.read_bytes()
    at = data.index(b"IEND" if after_pixels else b"IDAT") - 4
    parts = [png_chunk(kind, content) for kind, content, *_ in text.chunks]
    (tmp_path / "text.png").write_bytes(data[:at] + b"".join(parts) + data[at:])
    np.testing.assert_array_equal(read_picture(tmp_path / "text.png", SIZE), read_picture(plain, SIZE))


def test_a_large_color_profile_of_a_png_is_ignored(tmp_path: Path) -> None:
    image = PIL.Image.new("RGB", (30, 20), RED)
    assert_color(read_picture(save(tmp_path / "profile.png", image, icc_profile=bytes(2_000_000)), SIZE), RED, 0)


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_a_large_jpeg_is_decoded_at_a_fraction_and_other_formats_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 500_000)
    monkeypatch.setattr(pictures, "MAX_JPEG_PIXELS", 2_000_000)
    image = PIL.Image.new("RGB", (1300, 1200), RED)
    assert_color(read_picture(save(tmp_path / "large.jpg", image), SIZE), RED)
    assert open_picture(tmp_path / "large.jpg", 5000).size == (650, 600)  # half, although more was asked for
    assert_color(read_picture(save(tmp_path / "large-cmyk.jpg", image.convert("CMYK")), SIZE), RED)
    save(tmp_path / "too-large.jpg", PIL.Image.new("L", (2001, 1000)))
    for name, limit in (("too-large.jpg", "2,000,000"), ("large.png", "500,000"), ("large.tif", "500,000")):
        path = tmp_path / name
        if not path.exists():
            save(path, image)
        with pytest.raises(InputError, match=f"{name}: has more than {limit} pixels; resize it"):
            read_picture(path, SIZE)


def test_the_limits_admit_a_phone_and_hold_no_process_wide_setting(tmp_path: Path) -> None:
    path = save(tmp_path / "phone.jpg", PIL.Image.new("L", (16_320, 12_240)), quality=10)
    assert open_picture(path, 64).size == (4_080, 3_060)
    assert PIL.Image.MAX_IMAGE_PIXELS == pictures.MAX_PIXELS


def gray_16_bit() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 65_536, (SIZE, SIZE), dtype=np.uint16)


def pgm(values: np.ndarray, maximum: int) -> bytes:
    return f"P5\n{SIZE} {SIZE}\n{maximum}\n".encode() + values.astype(">u2").tobytes()


@pytest.mark.parametrize("name", ["a.png", "a.tif", "lzw.tif", "a.jp2", "a.pgm", "plain.pgm"])
def test_16_bit_gray_is_equal_in_all_formats(tmp_path: Path, name: str) -> None:
    values = gray_16_bit()
    path = tmp_path / name
    if name == "plain.pgm":
        path.write_text(f"P2 {SIZE} {SIZE} 65535\n" + " ".join(map(str, values.ravel())))
    elif name == "a.pgm":
        path.write_bytes(pgm(values, 65_535))
    else:
        save(path, PIL.Image.fromarray(values), **({"compression": "tiff_lzw"} if name == "lzw.tif" else {}))
    np.testing.assert_array_equal(read_picture(path, SIZE)[..., 0], values >> 8)


def test_16_bit_colors_keep_their_upper_byte(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65_536, (SIZE, SIZE, 3), dtype=np.uint16)
    (tmp_path / "a.ppm").write_bytes(f"P6 {SIZE} {SIZE} 65535\n".encode() + values.astype(">u2").tobytes())
    rows = b"".join(b"\0" + row.tobytes() for row in values.astype(">u2"))
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*each) for each in chunks))
    for name in ("a.ppm", "a.png"):
        np.testing.assert_array_equal(read_picture(tmp_path / name, SIZE), values >> 8)


@pytest.mark.parametrize("bits", [9, 10, 12, 14])
def test_gray_of_fewer_bits_has_the_full_range(tmp_path: Path, bits: int) -> None:
    values = gray_16_bit() >> (16 - bits)
    (tmp_path / "a.pgm").write_bytes(pgm(values, 2**bits - 1))
    difference = read_picture(tmp_path / "a.pgm", SIZE)[..., 0].astype(int) - (gray_16_bit() >> 8)
    assert np.abs(difference).max() <= 1


def tiff(values: bytes, bits: int, photometric: int) -> bytes:
    tags = {256: SIZE, 257: SIZE, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: SIZE, 279: len(values)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHI", b"II", 42, 8 + len(values)) + values + struct.pack("<H", len(tags)) + entries + bytes(4)


def test_a_tiff_of_12_bits_and_one_in_which_0_is_white(tmp_path: Path) -> None:
    values = gray_16_bit()
    (tmp_path / "white.tif").write_bytes(tiff(values.astype("<u2").tobytes(), 16, 0))
    np.testing.assert_array_equal(read_picture(tmp_path / "white.tif", SIZE)[..., 0], 255 - (values >> 8))
    first, second = (values.ravel()[at::2].astype(int) >> 4 for at in (0, 1))
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1).astype(np.uint8)
    (tmp_path / "packed.tif").write_bytes(tiff(packed.tobytes(), 12, 1))
    np.testing.assert_array_equal(read_picture(tmp_path / "packed.tif", SIZE)[..., 0], values >> 8)


def test_transparent_16_bit_gray_becomes_white(tmp_path: Path) -> None:
    values = np.full((SIZE, SIZE), 300, np.uint16)
    values[0] = 5000
    path = save(tmp_path / "a.png", PIL.Image.fromarray(values), transparency=300)
    pixels = read_picture(path, SIZE)[..., 0]
    assert (pixels[0, 0], pixels[1, 0]) == (5000 >> 8, 255)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "bmp", "tif", "avif", "jp2", "ppm"])
@pytest.mark.parametrize("size", [(1, 1), (3, 1), (4_000, 3), (3, 4_000)])
def test_one_pixel_and_long_strips(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    path = save(tmp_path / f"small.{suffix}", PIL.Image.new("RGB", size, (90, 120, 60)))
    assert_color(read_picture(path, SIZE), (90, 120, 60), 8)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "bmp", "tif", "avif", "jp2", "ppm"])
def test_a_cut_file_is_one_line_or_is_complete(tmp_path: Path, suffix: str) -> None:
    whole = PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8))
    data, expected = (
        save(tmp_path / f"whole.{suffix}", whole).read_bytes(),
        read_picture(tmp_path / f"whole.{suffix}", SIZE),
    )
    path, refused, lines = tmp_path / f"cut.{suffix}", 0, 0
    for length in [*range(0, len(data), max(len(data) // 20, 1)), len(data) - 2, len(data) - 1]:
        path.write_bytes(data[:length])
        try:
            np.testing.assert_array_equal(read_picture(path, SIZE), expected)
        except InputError as error:
            refused += str(error).startswith(f"{path}: ") and str(error).isprintable()
            lines += 1
    assert refused == lines >= 20


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"restart_marker_rows": 2}], ids=str)
def test_a_jpeg_that_was_cut_before_an_end_marker_is_refused(tmp_path: Path, mode: str, options: dict) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    for scale in (5, 40):  # at full and at reduced size
        large = PIL.Image.fromarray(noise).resize((40 * scale, 30 * scale)).convert(mode)
        path = save(tmp_path / "photo.jpg", large, quality=90, **options)
        data = path.read_bytes()
        for part in (0.5, 0.8, 0.95):
            path.write_bytes(data[: int(len(data) * part)] + b"\xff\xd9")
            with pytest.raises(InputError, match=r"photo.jpg: cannot be read \(image data are missing"):
                read_picture(path, SIZE)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("end", [b"", b"\0" * 50])
def test_gray_pixels_are_not_missing_ones(tmp_path: Path, mode: str, progressive: bool, end: bytes) -> None:
    path = save(
        tmp_path / "gray.jpg",
        PIL.Image.new(mode, (90, 70), 128 if mode == "L" else (128,) * 3),
        progressive=progressive,
    )
    path.write_bytes(path.read_bytes() + end)
    assert_color(read_picture(path, SIZE), (128, 128, 128), 0)


def test_a_photo_of_several_pictures_gives_the_first(tmp_path: Path) -> None:
    first, second = (PIL.Image.new("RGB", (200, 150), color) for color in (RED, BLUE))
    path = tmp_path / "phone.jpg"
    first.save(path, "MPO", save_all=True, append_images=[second])
    assert_color(read_picture(path, SIZE), RED)


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
    found = [path.relative_to(tmp_path).as_posix() for path in find_pictures(tmp_path).pictures]
    assert found == ["a.jpg", "b.PNG", "more/c.webp"]
    others = [path.relative_to(tmp_path).as_posix() for path in find_pictures(tmp_path).others]
    assert others == ["Thumbs.db", "more/notes.txt", "pipe.png"]
    assert find_pictures(tmp_path / "Thumbs.db").pictures == [tmp_path / "Thumbs.db"]  # a named file is not filtered
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no picture"):
        find_pictures(tmp_path / "empty")


def test_the_suffixes_are_those_of_the_formats() -> None:
    PIL.Image.init()
    assert set(SUFFIXES) <= set(PIL.Image.registered_extensions())
