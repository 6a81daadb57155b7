"""A dataset of 3 classes and 16 x 16 pixels in Tiny ImageNet's layout, for tests to change and damage."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

WNIDS = ("n02", "n01", "n03")  # in label order, which is not alphabetical
SIZE = 16


def jpeg(seed: int, size: tuple[int, int] = (SIZE, SIZE), mode: str = "RGB", quality: int = 90) -> bytes:
    """Returns a JPEG; each seed gives another image."""
    values = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).resize(size, Image.Resampling.BICUBIC).convert(mode).save(file, "JPEG", quality=quality)
    return file.getvalue()


def members(train: int = 7, val: int = 2, test: int = 4) -> dict[str, bytes]:
    """Returns the content by name of a valid archive: `train` and `val` images a class, `test` images in all."""
    files = {"wnids.txt": "\n".join(WNIDS).encode() + b"\n", "words.txt": b"n01\tcat\nn02\tdog, hound\nn99\tghost\n"}
    for label, wnid in enumerate(WNIDS):
        files[f"train/{wnid}/{wnid}_boxes.txt"] = b"ignored\n"
        for index in range(train):
            files[f"train/{wnid}/images/{wnid}_{index}.JPEG"] = jpeg(1000 * label + index)
    rows = [(f"val_{index}.JPEG", WNIDS[index % len(WNIDS)]) for index in range(val * len(WNIDS))]
    files["val/val_annotations.txt"] = "".join(f"{name}\t{wnid}\t0\t0\t9\t9\n" for name, wnid in rows).encode()
    files |= {f"val/images/{name}": jpeg(5000 + index) for index, (name, _) in enumerate(rows)}
    files |= {f"test/images/test_{index}.JPEG": jpeg(9000 + index) for index in range(test)}
    return files


def write_archive(path: Path, files: Mapping[str, bytes], root: str = "tiny") -> Path:
    """Writes a zip with these members in their order, below the folder `root`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for name, data in files.items():
            file.writestr(f"{root}/{name}", data)
    return path
