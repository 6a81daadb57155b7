"""Old commands: each names its replacement."""

from __future__ import annotations

import shlex
import sys
from typing import NoReturn

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.process import command_process


def exit_renamed(old: str, new: str) -> NoReturn:
    """Prints the command to use instead of `python -m tiny_imagenet.OLD`, with the same arguments, and exits with 2."""
    with command_process(old):
        command = shlex.join(["tiny-imagenet", new, *sys.argv[1:]])
        raise InputError(f"python -m tiny_imagenet.{old}", "has been renamed", f"run `{command}`")
