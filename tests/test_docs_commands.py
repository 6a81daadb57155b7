"""Every command on every page: its words are parsed, and the stages, parameters, targets and files it names exist."""

from __future__ import annotations

import re
import shlex
from itertools import takewhile

import pytest
import yaml
from dvc.cli.parser import get_main_parser
from dvc.repo import Repo
from mlflow.cli import cli as mlflow_cli
from tests.support.pages import PAGES, ROOT, inline_commands, typed_lines

from tiny_imagenet.cli.main import COMMANDS, make_parser

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = {*re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE), ".venv/ready"}
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
STAGES = {stage.addressing for stage in Repo(str(ROOT)).index.stages}
OTHER_PROGRAMS = {"cd", "du", "export", "git", "mkdir", "pip", "python", "rm", "source", "sudo", "ln", "make", "uv"}
ADDED = {"count", "evaluate@small_cnn", "evaluate@gpu", "recipes.paper.augmentation.grayscale"}  # as their pages say
NAME_ALONE = re.compile(r"(?:dvc|tiny-imagenet)(?: [a-z-]+){1,2}")  # a command without the arguments that it may need


def commands(line: str) -> list[str]:
    """Returns the commands of a typed line, without comments, variables, here-documents and redirections."""
    line = re.sub(r"<<(\w+)\n.*", "", line.replace("\\\n", " "), flags=re.DOTALL)
    found = [part for part in re.split(r"(?:;|&&|\|)\s", " ".join(shlex.split(line, comments=True))) if part]
    return [re.sub(r"^(?:[A-Z_]+=\S+ )+|>.*", "", each.strip()) for each in found]


CASES = [
    (str(page.relative_to(ROOT)), command)
    for page in PAGES
    for line in typed_lines(page) + inline_commands(page)
    for command in commands(line)
]


def test_the_pages_have_commands() -> None:
    assert len(CASES) > 50
    assert {"make", "dvc", "tiny-imagenet", "mlflow"} <= {command.split()[0] for _, command in CASES}


@pytest.mark.parametrize(("page", "command"), CASES)
def test_a_command_can_be_typed(page: str, command: str) -> None:
    program, *words = command.split()
    if NAME_ALONE.fullmatch(command):
        with pytest.raises(SystemExit) as ended:
            (get_main_parser() if program == "dvc" else make_parser(COMMANDS)).parse_args([*words, "--help"])
        assert ended.value.code == 0
    elif program == "dvc":
        check_dvc(words)
    elif program == "tiny-imagenet":
        make_parser(COMMANDS).parse_args(words)
    elif program == "mlflow":
        assert words[0] in mlflow_cli.commands
    elif program == "make":
        assert set(takewhile(lambda word: "=" not in word and not word.startswith("-"), words)) <= TARGETS
    else:
        assert program in OTHER_PROGRAMS, f"{page}: {command}"
    if program == "python" and words[0].endswith(".py"):
        assert (ROOT / words[0]).is_file()


def check_dvc(words: list[str]) -> None:
    arguments = get_main_parser().parse_args(words)
    for change in getattr(arguments, "params", None) or []:
        key = change.partition("=")[0]
        if arguments.cmd in ("exp", "queue") and "=" in change:
            assert key.startswith("+") or key in ADDED or exists(key), f"params.yaml has no {key}"
            assert exists(key.lstrip("+").rpartition(".")[0]), f"params.yaml has no place for {key}"
    if arguments.cmd in ("repro", "exp") and isinstance(targets := getattr(arguments, "targets", None), list):
        known = STAGES | {stage.partition("@")[0] for stage in STAGES} | ADDED
        assert not [target for target in targets if target not in known and not target.endswith("@NAME")]


def exists(key: str) -> bool:
    node = PARAMS
    for part in filter(None, key.split(".")):
        if not isinstance(node, dict) or part not in node:
            return False
        node = node[part]
    return True
