"""A one-line edit makes stale what it can change, and no more: each edit is made in a copy, and `dvc status` asked."""

import shutil

import pytest
from dvc.repo import Repo
from tests.support.tiny_records import REPOSITORY

from tiny_imagenet.cli.dvc_lock import record, stages_of
from tiny_imagenet.core.params import load_params

pytestmark = pytest.mark.pipeline

SRC = "src/tiny_imagenet"
PARAMS = load_params(REPOSITORY / "params.yaml")
TRAIN = {f"train@{name}" for name in PARAMS.models}
EVALUATE = {f"evaluate@{name}" for name in PARAMS.models}
VGG = {f"train@{name}" for name, settings in PARAMS.models.items() if settings.architecture == "vgg"}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The working tree's code, with its present state recorded in dvc.lock; no data, no git."""
    folder = tmp_path_factory.mktemp("staleness") / "copy"
    for name in ("src", "stages", "reports", "docs"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "dvc.lock", "params.yaml", ".dvcignore", "README.md"):
        shutil.copy2(REPOSITORY / name, folder / name)
    (folder / ".dvc").mkdir()
    site = f"    site_cache_dir = {folder.parent / 'site'}\n"
    (folder / ".dvc" / "config").write_text(f"[core]\n    no_scm = true\n    analytics = false\n{site}")
    record(folder, stages_of(folder))
    assert not stale(folder)
    return folder


def stale(folder):
    """The stages whose code or parameters DVC says are changed."""
    with Repo(str(folder)) as repo:
        status = repo.status()
    return {
        address.rpartition(":")[2]  # before it, the path of dvc.yaml
        for address, changes in status.items()
        for change in changes
        if isinstance(change, dict)
        for path, what in change.get("changed deps", {}).items()
        if path.startswith(("src/", "stages/", "params.yaml")) and what != "deleted"
    }


@pytest.fixture
def edit(copy):
    """Returns a function that changes a line of files of the copy and asks what is stale; undone afterwards."""
    former = {}

    def append(*names, line="# an edit\n"):
        for name in names:
            path = copy / name
            former[path] = path.read_text(encoding="utf-8")
            path.write_text(former[path] + line, encoding="utf-8")
        return stale(copy)

    yield append
    for path, text in former.items():
        path.write_text(text, encoding="utf-8")


def test_nothing_is_stale_after_edits_that_change_no_result(copy, edit):
    names = [f"{SRC}/core/{path.name}" for path in (copy / SRC / "core").glob("*.py")]
    for package in ("tracking", "cli"):
        names += [f"{SRC}/{package}/{path.name}" for path in (copy / SRC / package).glob("*.py")]
    names += ["README.md", "docs/operations.md"]
    assert len(names) > 15
    assert edit(*names) == set()


def test_a_new_key_of_the_recipe_that_is_off_makes_nothing_stale(copy, edit):
    schema = (copy / SRC / "core" / "schema.py").read_text(encoding="utf-8")
    line = "    xla: Flag = False\n"
    changed = schema.replace(line, f"{line}    gradient_noise: NonNegative = 0.0\n")
    assert changed != schema
    (copy / SRC / "core" / "schema.py").write_text(changed, encoding="utf-8")
    try:
        assert stale(copy) == set()
    finally:
        (copy / SRC / "core" / "schema.py").write_text(schema, encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("report/tables.py", {"report"}),
        ("evaluation/metrics.py", EVALUATE | {"report"}),
        ("models/vgg.py", VGG),
        ("augmentation/augment.py", TRAIN | {"report"}),
        ("training/train_step.py", TRAIN),
        ("archive/zip_archive.py", {"fetch", "preprocess"}),
        ("records/writer.py", {"preprocess"}),
        ("images/reader.py", TRAIN | EVALUATE | {"report"}),
        ("images/decoding.py", TRAIN | EVALUATE | {"report"}),
    ],
)
def test_an_edit_makes_stale_what_it_can_change(edit, name, expected):
    assert edit(f"{SRC}/{name}") == expected


def test_the_committed_lock_is_that_of_the_code():
    """Code that moved no number is recorded by `make unchanged BASE=REV`; for code that did, run `dvc repro`."""
    assert stale(REPOSITORY) == set()
