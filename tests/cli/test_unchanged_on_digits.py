"""`tiny-imagenet unchanged` on a built DAG of one model on the digits."""

from __future__ import annotations

import re

import pytest
from ruamel.yaml import YAML
from tests.pipeline.test_extending import type_section
from tests.support.project import CHEAP, REPOSITORY, Project, executed

pytestmark = pytest.mark.pipeline


@pytest.fixture(scope="module")
def one_model(tmp_path_factory):
    """A built copy with the repository's params.yaml, but for the dataset, the epochs and the other models."""
    project = Project(tmp_path_factory.mktemp("one_model") / "project")
    yaml = YAML()
    params = yaml.load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    params["dataset"], params["epochs"] = "digits", 3
    for name in [each for each in params["models"] if each != CHEAP]:
        del params["models"][name]
    with (project.folder / "params.yaml").open("w", encoding="utf-8") as file:
        yaml.dump(params, file)
    project.dvc("repro")
    project.commit("One model")
    return project


@pytest.fixture
def alone(one_model):
    """That copy, to change: it is restored afterwards."""
    yield one_model
    one_model.restore()


def test_an_augmentation_that_moves_no_number_is_recorded(alone):
    assert len(type_section("An augmentation", alone)) == 3
    assert executed(alone.dvc("repro", "--dry"))[:1] == [f"train@{CHEAP}"]
    output = alone.run("python", "-m", "tiny_imagenet", "unchanged", "HEAD", PYTHONPATH="src", fails=True)
    assert re.search(rf"train@{CHEAP} +\d+ +equal", output)
    assert re.search(r"report +\d+ +reports/index\.html", output)  # the page shows the new setting
    assert executed(alone.dvc("repro", "--dry")) == ["report"]


@pytest.mark.slow
def test_a_change_that_moves_a_number_is_not_recorded(alone):
    path = alone.folder / "src/tiny_imagenet/training/optimizers.py"
    text = path.read_text(encoding="utf-8")
    changed = text.replace("keras.optimizers.SGD(rate,", "keras.optimizers.SGD(1.001 * rate,")
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    lock = (alone.folder / "dvc.lock").read_bytes()
    output = alone.run("python", "-m", "tiny_imagenet", "unchanged", "HEAD", PYTHONPATH="src", fails=True)
    assert re.search(rf"train@{CHEAP} +\d+ +.*model\.keras", output)
    assert f"train@{CHEAP}" in executed(alone.dvc("repro", "--dry"))
    assert (alone.folder / "dvc.lock").read_bytes() == lock
