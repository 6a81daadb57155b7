"""The metadata that a `.keras` file carries beside its weights, so that it can be used without the dataset."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.field_types import Name
from tiny_imagenet.core.schema import Record
from tiny_imagenet.core.strict_yaml import parse_json
from tiny_imagenet.dataset.classes import Class

MEMBER = "tiny_imagenet.json"  # of the zip; Keras ignores members that it does not know
MAX_RATIO = 20  # of a file's content to its size: models are stored, hardly compressed
MAX_IMAGE_SIZE = 4096  # pixels
# What zipfile raises for a damaged, an encrypted or an unknown kind of member.
UNREADABLE = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
TRAIN_AGAIN = "train the model again with `dvc repro --force`"


class ModelInfo(Record):
    """How to use a model: images in, class names out.

    Attributes:
        model: Its key in params.yaml.
        dataset: The dataset that it was trained on.
        image_size: Of the square input, in pixels; RGB, 0 to 255: the model normalizes its input itself.
        classes: In the order of the logits.
        flip_tta: Whether evaluation averaged the logits of each image and of its mirror image.
    """

    model: Name  # becomes a part of paths
    dataset: Name
    image_size: Annotated[int, Field(ge=1, le=MAX_IMAGE_SIZE)]
    classes: Annotated[tuple[Class, ...], Field(min_length=1)]
    flip_tta: bool


def read_model_info(path: Path) -> ModelInfo:
    """Reads the metadata of a `.keras` file after a check of the whole file; imports no TensorFlow.

    Raises:
        InputError: The file is missing, damaged or no model of this project, or its content is far larger than it.
    """
    if path.suffix != ".keras":
        raise InputError(path, "is not a .keras file", "name a model that `dvc repro` or `dvc pull` wrote")
    try:
        with zipfile.ZipFile(path) as file:
            members = file.infolist()
            if sum(each.file_size for each in members) > MAX_RATIO * path.stat().st_size:
                raise InputError(path, f"would unpack to more than {MAX_RATIO} times its size", "do not use it")
            if damaged := file.testzip():
                raise InputError(path, f"is damaged ({damaged}: its checksum differs)", "run `dvc checkout`")
            if MEMBER not in file.namelist():
                raise InputError(path, f"has no {MEMBER}: it is of an earlier version", TRAIN_AGAIN)
            content = file.read(MEMBER)
    except FileNotFoundError:
        raise InputError(path, "not found", "run `dvc repro`") from None
    except UNREADABLE as error:
        raise InputError(path, f"cannot be read ({error})", "run `dvc checkout`") from None
    return parse_json(ModelInfo, content, f"{path}: {MEMBER}", TRAIN_AGAIN)
