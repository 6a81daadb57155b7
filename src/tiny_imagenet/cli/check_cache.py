"""The command that finds altered objects in DVC's cache: `python -m tiny_imagenet.cli.check_cache --help`.

DVC names an object by the MD5 of its content, and believes the name as long as the file is write-protected: what a disk
or a tool altered in place is checked out as if it were the result, and `dvc status` says "up to date".
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from tiny_imagenet.cli.trained_models import add_root_argument
from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.core.process import command_process

FOLDER = ".dir"  # how the name of an object ends that lists the files of a folder


def main(words: Sequence[str] | None = None) -> None:
    """Reads every object of the cache, and names those that are not what they were.

    Raises:
        InputError: There is no DVC repository.
        PipelineError: An object was altered.
    """
    arguments = _parser().parse_args(words)
    cache, outputs = read_repository(arguments.root)
    objects = sorted(path for path in cache.glob("[0-9a-f][0-9a-f]/*") if not path.name.endswith(".unpacked"))
    damaged = [path for path in tqdm(objects, unit="object", disable=None, leave=False) if not is_whole(path)]
    for path in damaged:
        print(f"{path}: {', '.join(outputs.get(named(path), [])) or 'no output of this commit'}")
        if arguments.remove:
            path.unlink()
    if damaged:
        todo = "`dvc fetch` or `dvc repro` brings them back" if arguments.remove else "take them away with --remove"
        raise PipelineError(cache, f"{len(damaged)} of {len(objects)} objects are not what they were", todo)
    print(f"{cache}: {len(objects)} objects, all whole")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tiny_imagenet.cli.check_cache",
        description="Reads every object of DVC's cache and names those whose content is no longer the one they are "
        "named by, with the outputs of the checked-out commit that they belong to. Exit status 1 if there is one.",
    )
    parser.add_argument("--remove", action="store_true", help="remove what was altered")
    add_root_argument(parser)
    return parser


def is_whole(path: Path) -> bool:
    """Returns whether an object's content has the MD5 that it is named by."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest() == named(path).removesuffix(FOLDER)


def named(path: Path) -> str:
    """Returns the name of an object: the folder that it lies in has the first two letters."""
    return path.parent.name + path.name


def read_repository(root: Path) -> tuple[Path, dict[str, list[str]]]:
    """Returns the folder of a DVC repository's cache, and the outputs that each object belongs to, by its name.

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
    """Returns the files of a folder and the names of their objects, as far as its list can be read."""
    listed = cache / name[:2] / name[2:]
    if not name.endswith(FOLDER) or not listed.is_file() or not is_whole(listed):
        return []
    return [(str(each["relpath"]), str(each["md5"])) for each in json.loads(listed.read_bytes())]


if __name__ == "__main__":
    with command_process("verify"):
        main()
