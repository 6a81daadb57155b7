"""Writing of pictures as an archive in Tiny ImageNet's layout."""

from __future__ import annotations

import functools
import io
import itertools
import sys
import zipfile
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import PIL.Image
from tqdm import tqdm

from tiny_imagenet.archive.zip_archive import IDENTIFIER, MAX_INFLATED_BYTES, MAX_MEMBERS, Archive
from tiny_imagenet.cli.class_folders import Pictures
from tiny_imagenet.cli.picture_splits import Splits
from tiny_imagenet.cli.pictures import read_picture
from tiny_imagenet.core.disk import disk_errors
from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.files import atomic_write
from tiny_imagenet.records.splits import load_dataset

ROOT = "dataset"  # the archive's top folder
LISTS = ("wnids.txt", "words.txt", "val/val_annotations.txt")  # the archive's first members
MAX_ID_LENGTH = 200  # a member's name, with the id and a number, is no longer than 255
DATE = (1980, 1, 1, 0, 0, 0)  # of all members, so that equal pictures give equal bytes; a zip's earliest date


def write_archive(out: Path, splits: Splits, size: int, folder: Path) -> None:
    """Writes the archive, completely or not at all; the bytes depend only on the pictures and library versions.

    Args:
        out: The zip.
        splits: The pictures.
        size: Of the images, in pixels.
        folder: The pictures' folder, for errors.

    Raises:
        InputError: A picture cannot be read, or there are too many.
        PipelineError: The zip cannot be written.
    """
    ids = _class_ids(splits.train)
    members = _train_members(splits.train, ids) | _numbered("val", itertools.chain(*splits.val.values()))
    members |= _numbered("test", splits.test)
    if len(members) + len(LISTS) > MAX_MEMBERS:
        raise InputError(
            folder, f"holds {len(members):,} pictures, an archive has at most {MAX_MEMBERS:,} files", "leave some out"
        )
    num_bytes = 0
    with disk_errors(out, len(members) * size**2), atomic_write(out) as temporary:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive, closing(_jpegs(members, size)) as jpegs:
            texts = _lists(splits.val, ids)
            files = ((name, texts[name].encode(errors="replace")) for name in LISTS)
            for name, data in itertools.chain(files, jpegs):
                num_bytes += len(data)
                if num_bytes > MAX_INFLATED_BYTES:
                    what = f"needs more than {MAX_INFLATED_BYTES:,} bytes at {size} x {size} pixels"
                    raise InputError(folder, what, "choose a smaller --image-size")
                _add(archive, name, data)
        _validate(temporary, out)


def _validate(temporary: Path, out: Path) -> None:
    """Reads the archive as the pipeline does; an error names the archive that the user asked for."""
    try:
        with Archive(temporary) as written:
            load_dataset(written)
    except InputError as error:
        where, what, todo = error.args
        raise InputError(str(where).replace(str(temporary), str(out)), what, todo) from None


def _class_ids(names: Iterable[str]) -> dict[str, str]:
    """Returns each class's id: its name, or a made-up one, which no other class has, if the layout forbids that."""
    ids = {name: name for name in names if IDENTIFIER.fullmatch(name) and len(name) <= MAX_ID_LENGTH}
    taken = {each.casefold() for each in ids}
    for label, name in enumerate(names):
        if name not in ids:
            made_up = f"class-{label}"
            while made_up in taken:
                made_up += "_"
            ids[name] = made_up
    return {name: ids[name] for name in names}


def _train_members(train: Pictures, ids: Mapping[str, str]) -> dict[str, Path]:
    """Returns the picture of each train member, by the member's name."""
    return {
        f"train/{ids[name]}/images/{ids[name]}_{number}.JPEG": path
        for name, pictures in train.items()
        for number, path in enumerate(pictures)
    }


def _numbered(split: str, pictures: Iterable[Path]) -> dict[str, Path]:
    """Returns the picture of each member of val or test, by the member's name."""
    return {f"{split}/images/{split}_{number}.JPEG": path for number, path in enumerate(pictures)}


def _lists(val: Pictures, ids: Mapping[str, str]) -> dict[str, str]:
    """Returns the text files of the archive: classes, their words, and the labels of val."""
    labels = [ids[name] for name, pictures in val.items() for _ in pictures]
    return {
        "wnids.txt": "".join(f"{each}\n" for each in ids.values()),
        "words.txt": "".join(f"{each}\t{name}\n" for name, each in ids.items()),
        "val/val_annotations.txt": "".join(f"val_{number}.JPEG\t{each}\n" for number, each in enumerate(labels)),
    }


def _jpegs(members: Mapping[str, Path], size: int) -> Generator[tuple[str, bytes], None, None]:
    """Yields each member's name and JPEG; prints an error for every unreadable picture, then fails.

    Closing it cancels what is not decoded yet.
    """
    unreadable = 0
    threads = ThreadPoolExecutor()
    try:
        jpegs = threads.map(functools.partial(_jpeg, size=size), members.values())
        pairs = zip(members, jpegs, strict=True)
        for name, data in tqdm(pairs, total=len(members), unit=" images", leave=False, disable=None):
            if isinstance(data, InputError):
                tqdm.write(f"error: pack: {data}", file=sys.stderr)
                unreadable += 1
            else:
                yield name, data
    finally:
        threads.shutdown(cancel_futures=True)
    if unreadable:
        raise InputError(f"{unreadable} of {len(members)} files", "cannot be read, see above", "remove or replace them")


def _jpeg(path: Path, size: int) -> bytes | InputError:
    """Returns a picture as a JPEG of size x size pixels and high quality."""
    try:
        image = PIL.Image.fromarray(read_picture(path, size))
    except InputError as error:
        return error
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(f"{ROOT}/{name}", DATE)
    info.external_attr = 0o644 << 16
    archive.writestr(info, data)
