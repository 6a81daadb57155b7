"""The `tiny-imagenet` command: parses its arguments and runs one subcommand.

A subcommand is a module of this package with

- `HELP`: a phrase such as "compare two models", for both help pages;
- `EPILOG`: optional text at the end of its help page;
- `add_arguments(parser)`: adds its arguments;
- `run(arguments)`: does the work and returns the exit status.

These modules import TensorFlow, MLflow and DVC inside functions only, so that a wrong argument is answered at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module

from tiny_imagenet.core.process import command_process

COMMANDS = {
    "predict": "predict",
    "export": "export",
    "pack": "pack",
    "compare": "compare",
    "ui": "ui",
    "serve": "serve",
    "check-cache": "check_cache",
    "unchanged": "unchanged",
}  # the module of each, in the order of the help page


def main(words: Sequence[str] | None = None) -> int:
    """Runs the subcommand that the words name, by default those of the command line.

    Returns:
        The exit status of the subcommand.

    Raises:
        SystemExit: The words are wrong or ask for help, or the subcommand failed, which is printed as one line.
    """
    words = sys.argv[1:] if words is None else words
    arguments = make_parser(words[:1] if words and words[0] in COMMANDS else COMMANDS).parse_args(words)
    with command_process(arguments.command):
        return int(arguments.run(arguments))


def make_parser(names: Iterable[str]) -> argparse.ArgumentParser:
    """Returns a parser of the named subcommands; imports their modules."""
    parser = argparse.ArgumentParser(prog="tiny-imagenet", description="Uses the datasets and models of the pipeline.")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in names:
        command = import_module(f"tiny_imagenet.cli.{COMMANDS[name]}")
        description, epilog = f"{command.HELP[0].upper()}{command.HELP[1:]}.", getattr(command, "EPILOG", None)
        subparser = subparsers.add_parser(name, help=command.HELP, description=description, epilog=epilog)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser
