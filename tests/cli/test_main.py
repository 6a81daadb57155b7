"""The command line as a whole: its help, its errors, and the commands of earlier versions."""

import subprocess
import sys
from pkgutil import resolve_name

import pytest
from tests.support.tiny_records import REPOSITORY

from tiny_imagenet.cli.main import COMMANDS, main, make_parser

SLOW = {"tensorflow", "keras", "mlflow", "matplotlib", "scipy", "dvc"}  # to import
PRINT_SLOW = f"""
import atexit, runpy, sys
atexit.register(lambda: print({SLOW} & {{*sys.modules}}))
runpy.run_module('tiny_imagenet', run_name='__main__', alter_sys=True)
"""


def start(*command: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, *command]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=REPOSITORY / "src")


def test_help_lists_the_commands(run) -> None:
    status, out, _ = run("--help")
    assert status == 0
    for name in COMMANDS:
        assert f"\n    {name}" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_a_help_page(name: str, run) -> None:
    status, out, _ = run(name, "--help")
    assert status == 0
    assert out.startswith(f"usage: tiny-imagenet {name} ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["predct", "a.jpg"], "argument COMMAND: invalid choice: 'predct'"),
        (["predict"], "the following arguments are required: PICTURE"),
        (["export", "vgg", "--format", "pickle"], "argument --format: invalid choice: 'pickle'"),
        (["pack", "a", "b.zip", "--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_wrong_words(run, words: list[str], message: str) -> None:
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert message in err


def test_an_error_is_one_line(run, tmp_path) -> None:
    status, out, err = run("export", "vgg", "--root", tmp_path)
    assert (status, out) == (2, "")
    todo = "run `dvc repro`, or name a checkout with --root"
    assert err == f"error: export: {tmp_path / 'models'}: holds no trained model; {todo}\n"


@pytest.mark.parametrize("words", [["--help"], ["predct"], *([name, "--help"] for name in COMMANDS)])
def test_help_and_wrong_words_import_nothing_slow(words: list[str]) -> None:
    result = start("-c", PRINT_SLOW, *words)
    assert result.returncode == (0 if "--help" in words else 2)
    assert result.stdout.splitlines()[-1] == "set()"
    assert "Traceback" not in result.stderr


def test_the_entry_point() -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.11 and later")
    scripts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert resolve_name(scripts["tiny-imagenet"]) is main


def test_every_command_can_be_parsed_beside_the_others() -> None:
    arguments = make_parser(COMMANDS).parse_args(["pack", "pictures", "mine.zip"])
    assert (arguments.command, arguments.out.name) == ("pack", "mine.zip")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("predict", "predict"),
        ("export", "export"),
        ("pack", "pack"),
        ("compare", "compare"),
        ("verify", "check-cache"),
    ],
)
def test_a_renamed_command_names_the_new_one(old: str, new: str) -> None:
    result = start("-m", f"tiny_imagenet.{old}", "a b.jpg", "--json")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        f"error: {old}: python -m tiny_imagenet.{old}: has been renamed; run `tiny-imagenet {new} 'a b.jpg' --json`\n"
    )
