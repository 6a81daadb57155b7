"""`tiny-imagenet unchanged`: which of the compared stages are recorded, and what it says of the others."""

import argparse
from pathlib import Path

import pytest
from tests.support.tiny_archive import WNIDS, members, write_archive

from tiny_imagenet.archive.zip_archive import Archive
from tiny_imagenet.cli import unchanged
from tiny_imagenet.cli.equal_outputs import Difference
from tiny_imagenet.cli.miniature import NUM_IMAGES, TEST_IMAGES, write_miniature_archive
from tiny_imagenet.core.errors import InputError, PipelineError
from tiny_imagenet.records.splits import load_dataset

NEEDS = {"fetch": [], "train@a": ["fetch"], "train@b": ["fetch"], "report": ["train@a", "train@b"], "count": ["fetch"]}
EQUAL, OTHER = Difference(1, []), Difference(1, ["metrics/history.csv"])


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Returns a function that runs the command on results of the comparison, and returns the stages it recorded.

    Args of the function: the results; the stages that are not as in dvc.lock, with the parameters that are not; the
    stages whose code in BASE dvc.lock does not have; the command's options.
    """
    kept: list[str] = []

    def record(_: Path, addresses: list[str]) -> list[str]:
        kept[:] = addresses
        return addresses

    def run(found: dict[str, Difference], changed: dict[str, set[str]], not_base: set[str] = frozenset(), **options):
        monkeypatch.chdir(tmp_path)
        for name in ("check_out_revision", "copy_code"):
            monkeypatch.setattr(unchanged, name, lambda *_: None)
        monkeypatch.setattr(unchanged.Miniature, "write_params", lambda *_: None)
        monkeypatch.setattr(unchanged, "_models", lambda *_: ["a", "b"])
        monkeypatch.setattr(unchanged, "_compare", lambda *_: found)
        monkeypatch.setattr(unchanged, "stages_of", lambda _: NEEDS)
        monkeypatch.setattr(unchanged, "unrecorded_stages", lambda _: changed)
        monkeypatch.setattr(unchanged, "stages_recorded_at", lambda *_: NEEDS.keys() - not_base)
        monkeypatch.setattr(unchanged, "record", record)
        kept.clear()
        defaults = {"base": "HEAD", "model": None, "accept_pages": False, "dry": False}
        error = None
        try:
            unchanged.run(argparse.Namespace(**defaults | options))
        except PipelineError as raised:
            error = str(raised)
        return kept.copy(), error

    return run


@pytest.mark.parametrize(
    ("differing", "as_default", "with_pages"),
    [
        ([], True, True),
        (["reports/table.md", "reports/index.html"], False, True),
        (["reports/table.md", "reports/results.json"], False, False),
        (["reports/figures/time.svg"], False, False),
        (["failed"], False, False),
    ],
)
def test_pages_with_other_words_are_accepted_on_request(
    differing: list[str], as_default: bool, with_pages: bool
) -> None:
    difference = Difference(3, differing)
    assert unchanged._is_equal(difference, accept_pages=False) is as_default
    assert unchanged._is_equal(difference, accept_pages=True) is with_pages


def test_a_stage_is_recorded_with_all_that_it_needs(recorded) -> None:
    found = dict.fromkeys(("fetch", "train@a", "train@b", "report"), EQUAL)
    assert recorded(found, {name: set() for name in found}) == ([*found], None)
    stages, error = recorded(found | {"train@b": OTHER}, {name: set() for name in found})
    assert stages == ["fetch", "train@a"]
    assert error == "outputs: differ, see above; run `dvc repro` for the stages that differ"


def test_a_stage_that_was_not_compared_counts_as_it_is_recorded(recorded) -> None:
    found = dict.fromkeys(("fetch", "train@a", "report"), EQUAL)
    assert recorded(found, {"train@a": set(), "count": set()}) == (["fetch", "train@a", "report"], None)
    stages, error = recorded(found, {"train@a": set(), "train@b": set()})
    assert stages == ["fetch", "train@a"]
    assert error == "train@b: not as in dvc.lock, and were not compared; leave out --model, or run `dvc repro`"


def test_a_stage_is_recorded_only_from_the_code_that_dvc_lock_has(recorded) -> None:
    found = dict.fromkeys(("fetch", "train@a", "train@b", "report"), EQUAL)
    stages, error = recorded(found, {"train@a": set(), "report": set()}, {"train@a", "train@b"})
    assert stages == ["fetch", "train@b"]  # train@b is as in dvc.lock now: nothing of it is recorded
    assert error is not None
    assert error.startswith("train@a: dvc.lock has other code or parameters than BASE; name the BASE")
    assert recorded(found, {"train@a": set()}, {"train@a"}, dry=True) == ([], None)


@pytest.mark.parametrize(
    ("stage", "parameter", "is_shown"),
    [
        ("fetch", "dataset", False),
        ("fetch", "datasets.digits.sha256", False),
        ("fetch", "preprocess.shard_images", False),
        ("report", "published.digits.vgg.loss", False),
        ("report", "models.removed.recipe", False),
        ("report", "models.a.dropout", True),
        ("train@a", "recipes.paper.augmentation.grayscale", True),
        ("train@a", "datasets_of_mine", True),
    ],
)
def test_parameters_that_no_miniature_shows_are_not_recorded(recorded, stage, parameter, is_shown) -> None:
    found = dict.fromkeys(("fetch", "train@a", "train@b", "report"), EQUAL)
    stages, error = recorded(found, {stage: {parameter}})
    assert (stage in stages) is is_shown
    assert (error is None) is is_shown
    assert is_shown or error == f"{stage}: {parameter} not as in dvc.lock, which no miniature shows; run `dvc repro`"


def test_an_archive_that_is_none_is_refused_in_one_line(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.zip"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINY_IMAGENET_ARCHIVE", str(path))
    status, _, err = run("unchanged", "HEAD")
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith(f"error: unchanged: TINY_IMAGENET_ARCHIVE={path}: no such file; ")
    path.write_bytes(b"no zip")
    status, _, err = run("unchanged", "HEAD")
    assert (status, err.count("\n")) == (2, 1)
    assert f"{path}: is not a complete zip file" in err
    write_archive(path, {"wnids.txt": b"n01\n"})
    with pytest.raises(InputError, match=r"words\.txt"):
        write_miniature_archive(path, tmp_path / "miniature.zip")


def test_the_miniature_has_the_first_images_of_each_class(tmp_path: Path) -> None:
    per_class = {split: count // len(WNIDS) for split, count in NUM_IMAGES.items()}
    files = members(train=per_class["train"] + 1, val=per_class["val"] + 2, test=TEST_IMAGES + 1)
    source = write_archive(tmp_path / "all.zip", files)
    path = write_miniature_archive(source, tmp_path / "miniature.zip")
    assert path is not None
    with Archive(source) as full, Archive(path) as small:
        everything, few = load_dataset(full), load_dataset(small)
        assert all(small.read(image.name) == full.read(image.name) for image in few.splits["val"])
    assert few.classes == everything.classes
    for split in ("train", "val"):
        assert set(few.splits[split]) < set(everything.splits[split])
        labels = [image.label for image in few.splits[split]]
        assert {labels.count(label) for label in range(len(WNIDS))} == {-(-NUM_IMAGES[split] // len(WNIDS))}
    assert len(few.splits["test"]) == TEST_IMAGES
