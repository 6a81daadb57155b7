"""The command `tiny-imagenet check-cache`: finds corrupt objects in DVC's cache.

DVC names an object by the MD5 of its content, and trusts the name as long as the file is write-protected. A file that a
disk or a tool altered in place is therefore checked out as if it were the result, and `dvc status` says "up to date".
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from pathlib import Path

from tqdm import tqdm

from tiny_imagenet.cli.trained_models import add_root_argument
from tiny_imagenet.core.errors import InputError, PipelineError

HELP = "compare each object of DVC's cache with its checksum"
EPILOG = "Prints each corrupt object and the outputs of the current commit that contain it, then exits with status 1."
FOLDER = ".dir"  # suffix of an object that lists the files of a folder
OBJECT = re.compile(r"[0-9a-f]{30}(\.dir)?")  # the other files are temporary ones of a running dvc


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--remove", action="store_true", help="remove corrupt objects")
    add_root_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Reads every object of the cache and prints those that are corrupt.

    Raises:
        InputError: There is no DVC repository.
        PipelineError: An object is corrupt.
    """
    cache, outputs = read_repository(arguments.root)
    objects = sorted(path for path in cache.glob("[0-9a-f][0-9a-f]/*") if OBJECT.fullmatch(path.name))
    checked = ((path, damage(path)) for path in tqdm(objects, unit="object", disable=None, leave=False))
    corrupt = [(path, reason) for path, reason in checked if reason]
    for path, reason in corrupt:
        print(f"{path}: {', '.join(outputs.get(object_name(path), [])) or 'no output of this commit'} ({reason})")
        if arguments.remove:
            path.unlink(missing_ok=True)
    if corrupt:
        todo = "run `dvc fetch` or `dvc repro` to restore them" if arguments.remove else "remove them with --remove"
        raise PipelineError(cache, f"{len(corrupt)} of {len(objects)} objects are corrupt", todo)
    print(f"{cache}: {len(objects)} objects, all intact")
    return 0


def damage(path: Path) -> str:
    """Returns why an object is corrupt, or "" if the MD5 of its content is its name, or if dvc has removed it.

    Raises:
        PermissionError: It cannot be read, but may be intact.
    """
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
    except FileNotFoundError:
        return ""
    except PermissionError:
        raise
    except OSError as error:  # such as EIO of a failing disk
        return error.strerror or str(error)
    return "" if digest.hexdigest() == object_name(path).removesuffix(FOLDER) else "another checksum"


def object_name(path: Path) -> str:
    """Returns the name of an object, whose first two letters are the name of its folder."""
    return path.parent.name + path.name


def read_repository(root: Path) -> tuple[Path, dict[str, list[str]]]:
    """Returns the cache folder of a DVC repository, and by object name the outputs that contain the object.

    Raises:
        InputError: There is no DVC repository, or DVC cannot read it.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            cache = Path(repo.cache.local.path)
            found = [(str(out), str(out.hash_info.value)) for out in repo.index.outs if out.use_cache and out.hash_info]
    except DvcException as error:
        raise InputError(root, f"DVC cannot read it ({error})", "name a checkout with --root") from None
    outputs: dict[str, list[str]] = {}
    for output, name in found:
        outputs.setdefault(name, []).append(output)
        for file, inside in _files(cache, name):
            outputs.setdefault(inside, []).append(f"{output}/{file}")
    return cache, outputs


def _files(cache: Path, name: str) -> list[tuple[str, str]]:
    """Returns the files of a folder and the names of their objects; nothing if the list is missing or corrupt."""
    try:
        content = (cache / name[:2] / name[2:]).read_bytes() if name.endswith(FOLDER) else b""
    except OSError:
        return []
    if hashlib.md5(content, usedforsecurity=False).hexdigest() + FOLDER != name:
        return []
    return [(str(each["relpath"]), str(each["md5"])) for each in json.loads(content)]
