"""Every command on every page: its words are parsed, and the stages, parameters, targets and files it names exist."""

from __future__ import annotations

import re
import shlex

import pytest
import yaml
from dvc.cli.parser import get_main_parser
from dvc.repo import Repo
from mlflow.cli import cli as mlflow_cli
from tests.support.pages import PAGES, ROOT, typed_lines

from tiny_imagenet.cli.main import COMMANDS, make_parser

TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
STAGES = {stage.addressing for stage in Repo(str(ROOT)).index.stages}
OTHER_PROGRAMS = {"cd", "du", "export", "git", "mkdir", "pip", "python", "rm", "source", "sudo", "ln", "make", "uv"}


def commands(line: str) -> list[str]:
    """Returns the commands of a typed line, without comments, variables, here-documents and redirections."""
    line = re.sub(r"<<(\w+)\n.*", "", line.replace("\\\n", " "), flags=re.DOTALL)
    found = [part for part in re.split(r"(?:;|&&|\|)\s", " ".join(shlex.split(line, comments=True))) if part]
    return [re.sub(r"^(?:[A-Z_]+=\S+ )+|>.*", "", each.strip()) for each in found]


CASES = [(str(page.relative_to(ROOT)), each) for page in PAGES for line in typed_lines(page) for each in commands(line)]


def test_the_pages_have_commands() -> None:
    assert len(CASES) > 50
    assert {"make", "dvc", "tiny-imagenet", "mlflow"} <= {command.split()[0] for _, command in CASES}


@pytest.mark.parametrize(("page", "command"), CASES)
def test_a_command_can_be_typed(page: str, command: str) -> None:
    program, *words = command.split()
    if program == "dvc":
        check_dvc(words)
    elif program == "tiny-imagenet":
        make_parser(COMMANDS).parse_args(words)
    elif program == "mlflow":
        assert words[0] in mlflow_cli.commands
    elif program == "make":
        assert {word for word in words if "=" not in word and not word.startswith("-")} <= TARGETS
    else:
        assert program in OTHER_PROGRAMS, f"{page}: {command}"
    if program == "python" and words[0].endswith(".py"):
        assert (ROOT / words[0]).is_file()


def check_dvc(words: list[str]) -> None:
    arguments = get_main_parser().parse_args(words)
    for change in getattr(arguments, "params", None) or []:
        key = change.partition("=")[0]
        if arguments.cmd in ("exp", "queue") and "=" in change:
            assert key.startswith("+") or exists(key), f"params.yaml has no {key}"
            assert exists(key.lstrip("+").rpartition(".")[0]), f"params.yaml has no place for {key}"
    if arguments.cmd in ("repro", "exp") and isinstance(targets := getattr(arguments, "targets", None), list):
        assert set(targets) <= STAGES | {stage.partition("@")[0] for stage in STAGES}


def exists(key: str) -> bool:
    node = PARAMS
    for part in filter(None, key.split(".")):
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True
