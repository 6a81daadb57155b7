import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ruamel.yaml import YAML
from tests.support.tiny_records import REPOSITORY, run_stage, shrunk_params

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.core.params import OVERFIT, architectures, load_params
from tiny_imagenet.core.run_record import flatten
from tiny_imagenet.core.schema import Augmentation, Debug, ModelSettings, Params, Recipe

CROP = "      random_resized_crop"

REAL = (REPOSITORY / "params.yaml").read_text(encoding="utf-8")


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], Params]:
    def load_text(text: str) -> Params:
        (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
        return load_params(tmp_path / "params.yaml")

    return load_text


def replaced(old: str, new: str) -> str:
    """Returns params.yaml with the last line that reads `old` before its comment replaced."""
    lines = REAL.splitlines()
    places = [i for i, line in enumerate(lines) if line.split(" #")[0].rstrip() == old]
    assert places, old
    lines[places[-1]] = new
    return "\n".join(lines) + "\n"


def test_the_repositorys_file_is_valid(load: Callable[[str], Params]) -> None:
    params = load(REAL)
    report = {name: model for name, model in params.models.items() if model.recipe == "paper"}
    assert {name: model.l2 for name, model in report.items()} == {
        "logistic_regression": 0.0,
        "fully_connected": 0.0,
        "simple_cnn": 0.0005,
        "vgg": 0.0005,
    }
    assert {params.models[name].recipe_epochs for name in report} == {40}
    assert [params.models[name].seed for name in ("minutes", "minutes_2", "minutes_3")] == [1, 2, 3]
    assert len({str(params.models[name].arguments) for name in ("minutes", "minutes_2", "minutes_3")}) == 1
    assert params.published["vgg"].top_1_accuracy == 0.245


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs: null", 'epochs: "10"', "epochs: got '10'; .*integer"),
        ("epochs: null", "epochs: -1", "epochs: got -1; .*greater than or equal to 1"),
        ("epochs: null", "epochs: 0", "epochs: got 0; .*greater than or equal to 1"),
        ("epochs: null", "epochs: true", "epochs: got True; .*integer"),
        ("epochs: null", "epochs: 1.0", "epochs: got 1.0; .*integer"),
        ("epochs: null", "epochs: .nan", "epochs: got nan; "),
        ("epochs: null", "epochs: yes", "epochs: got 'yes'; .*integer"),
        ("epochs: null", "", "epochs: is missing; add it"),
        ("batch_size: null", "batch_size: 0", "batch_size: got 0"),
        ("lr: null", "lr: .nan", "lr: got nan; .*finite"),
        ("lr: null", "lr: -.inf", "lr: got -inf; .*finite"),
        ("lr: null", "lr: 0", "lr: got 0; .*greater than 0"),
        ("lr: null", "lr: true", "lr: got True; .*number"),
        ("lr: null", "lr: 1e", "lr: got '1e'; .*number"),
        ("seed: 1", "seed: 2147483648", "seed: got 2147483648; .*less than 2147483648"),
        ("seed: 1", "sed: 1", "sed: unknown key; did you mean 'seed'"),
        ("seed: 1", "seed: 1\nzzz: 1", "zzz: unknown key; choose among batch_size, dataset, .*, training$"),
        ("seed: 1", "seed: 1\nseed: 2", 'line 5, column 1: found duplicate key "seed"; remove one of the two'),
        ("seed: 1", "seed: [1", r"line 5, column 7: .*; fix the syntax at this line"),
        ("seed: 1", "\tseed: 1", r"line 4, column 1: .*; fix the syntax at this line"),
        ("seed: 1", "1: 2\nseed: 1", "1: .*keys should be strings"),
        ("seed: 1", "? [a]\n: 2\nseed: 1", r"got \('a',\); keys should be strings"),
        ("device: auto", "device: tpu", "device: got 'tpu'; .*'auto', 'cpu' or 'gpu'"),
        ("dataset: tiny-imagenet-200", "dataset: tiny-imagenet", "no dataset 'tiny-imagenet'; did you mean 'tiny-im"),
        ("    dropout: 0.2", "    dropout: 1.0", "recipes.paper.dropout: got 1.0; .*less than 1"),
        ("    dropout: 0.2", "    drop: 0.2", "recipes.paper.drop: unknown key; did you mean 'dropout'"),
        ("    warmup_fraction: 0.0", "    warmup: 0.0", "recipes.paper.warmup: is now 'warmup_fraction'; rename it"),
        (
            "    momentum: 0.0",
            "    clip_norm: null",
            "paper.clip_norm: was removed: no recipe used it; remove it",
        ),
        ("    flip_tta: false", "    flip_averaging: false", "paper.flip_averaging: is now 'flip_tta'; rename it"),
        ("      rescale_max: false", "      stretch: false", "augmentation.stretch: is now 'rescale_max'; rename it"),
        ("      flip: random", "      horizontal_flip: true", "augmentation.horizontal_flip: is now 'flip'; rename it"),
        ("    optimizer: sgd", "    optimizer: adam", "recipes.paper.optimizer: got 'adam'; .*'sgd'"),
        (
            "      brightness: [0.5, 1.5]",
            "      brightness: [1.5, 0.5]",
            r"augmentation: invalid; brightness must be \[lowest, highest\]",
        ),
        ("      brightness: [0.5, 1.5]", "      brightness: [1.5]", "brightness.1: is missing"),
        ("      rotation_degrees: 20", "      rotation_degrees: 200", "rotation_degrees: got 200; .*180"),
        ("      flip: random", "      flip: true", "flip: got True; .*'none', 'random' or 'alternating'"),
        ("      interpolation: bilinear", "      interpolation: cubic", "interpolation: got 'cubic'"),
        (
            f"{CROP}: null",
            f"{CROP}: {{scale: [0.9, 0.5]}}",
            r"_crop: invalid; scale and ratio must be \[lowest, highest\]",
        ),
        (f"{CROP}: null", f"{CROP}: {{scale: [0.5, 1.5]}}", "_crop.scale.1: got 1.5; .*less than or equal to 1"),
        ("      random_erasing: 0.0", "      random_erasing: 1.5", "random_erasing: got 1.5; .*or equal to 1"),
        ("      mixup: 0.0", "      mixup: -0.1", "mixup: got -0.1; .*greater than or equal to 0"),
        ("  vgg:", "  ../x:", r"got '\.\./x'; .*match pattern"),
        ("  vgg:", '  "vgg\\n":', "match pattern"),
        ("  vgg:", "  lr.2:", r"models.lr.2: got 'lr.2'; .*match pattern"),  # DVC takes a dot for the end of a key
        ("  vgg:", "  my net:", "got 'my net'; .*match pattern"),
        ("  vgg:", '  "12":', "got '12'; .*match pattern"),
        ("  vgg:", "  1e3:", "got 1000.0; .*string"),
        ("  vgg:", "  Yes:", "got 'Yes'; is another type than text in YAML"),
        ("  vgg:", "  y:", "got 'y'; is another type than text in YAML"),
        ("  vgg:", f"  {'v' * 300}:", f"models.{'v' * 120}...: got .*; string should have at most 100 characters"),
        (
            "  vgg:",
            "  VGG: {architecture: vgg, recipe: paper}\n  vgg:",
            "models: invalid; 'VGG' and 'vgg' would be the same file on some disks: rename one of the two$",
        ),
        (
            "  minutes:",
            "  Paper: {optimizer: sgd, lr: 1.0, epochs: 1, batch_size: 1}\n  minutes:",
            "recipes: invalid; 'paper' and 'Paper' would be the same",
        ),
        ("  digits:", "  Digits: {builtin: digits}\n  digits:", "datasets: invalid; 'Digits' and 'digits' would"),
        ("  minutes:", "  minutes.2:", "recipes.minutes.2: got 'minutes.2'; .*match pattern"),
        ("  digits:", "  pets.v1.2:", "datasets.pets.v1.2: got 'pets.v1.2'; .*match pattern"),
        ("batch_size: null", f"batch_size: 1{'0' * 20}", f"batch_size: got 1{'0' * 20}; .*or equal to 1048576"),
        ("  batch_size: 500", f"  batch_size: {2**63}", "evaluation.batch_size: got .*or equal to 1048576"),
        ("  calibration_bins: 15", "  calibration_bins: 1000000000000", "bins: got 1000000000000; .*or equal to 10000"),
        ("  shard_images: 8192", "  shard_images: 10000000000", "shard_images: got .*or equal to 1000000000"),
        ("  holdout_per_class: 0", f"  holdout_per_class: {2**64}", "holdout_per_class: got .*or equal to"),
        ("  workers: null", "  workers: 100000", "workers: got 100000; .*or equal to 1024"),
        ("  memory_gb: 8", "  memory_gb: 1e300", r"memory_gb: got 1e\+300; .*or equal to 1000000"),
        ("  memory_gb: 8", "  memory_gb: 1e400", "memory_gb: got inf; .*finite"),
        ("epochs: null", "epochs: 100001", "epochs: got 100001; .*or equal to 100000"),
        ("      shift_pixels: 0", "      shift_pixels: 5000", "shift_pixels: got 5000; .*or equal to 4096"),
        ("lr: null", "lr: 1e39", r"lr: got 1e\+39; .*or equal to"),  # float32 has no such number
        ("      flip: random", "      flip: off", "flip: got 'off'"),
        ("seed: 1", "seed: 12:30", "seed: got '12:30'; .*integer"),
        ("  vgg:", "  vgg: null\n  more:", "models.vgg: got None; .*dictionary"),
        ("    architecture: vgg", "    architecture: vgh", "models.vgg.architecture: no .* 'vgh'; did you mean 'vgg'"),
        ("    architecture: vgg", "    architecture: ../vgg", r"architecture: no architecture '\.\./vgg'"),
        ("    architecture: vgg", "    architecture: _layers", "no architecture '_layers'; choose among .*vgg"),
        ("    architecture: vgg", "    architecture: transfer", "'transfer' is now 'pretrained'; rename it"),
        ("    architecture: vgg", "    architecture: 3", "architecture: got 3; give one name"),
        ("    architecture: vgg", "", "models.vgg.architecture: is missing; add it"),
        ("    recipe: paper", "    recipe: papier", "models.vgg.recipe: no recipe 'papier'; did you mean 'paper'"),
        ("    recipe: paper", "    recipe: paper\n    lrr: 1", "models.vgg: lrr: unknown key; did you mean 'lr'"),
        ("    recipe: paper", "    recipe: paper\n    model: x", "models.vgg: model: unknown key; remove it"),
        ("    recipe: paper", "    recipe: paper\n    recipe_epochs: 3", "models.vgg: recipe_epochs: unknown key"),
        ("    recipe: paper", "    recipe: paper\n    dataset: digits", "models.vgg: dataset: unknown key"),
        (
            "    recipe: paper",
            "    recipe: paper\n    warmup: 0.1",
            "models.vgg: warmup: is now 'warmup_fraction'; rename",
        ),
        ("    recipe: paper", "    recipe: paper\n    l2: -1.0", "models.vgg: l2: got -1.0"),
        ("    recipe: paper", "    recipe: paper\n    arguments: 3", "models.vgg: arguments: got 3; .*dictionary"),
        ("  fraction: null", "  fraction: 1.5", "debug.fraction: got 1.5; .*less than 1"),
        ("  fraction: null", "  fraction: 0", "debug.fraction: got 0; .*greater than 0"),
        ("  steps: null", "  step: 3", "debug.step: unknown key; did you mean 'steps'"),
        ("  steps: null", "  steps: 0", "debug.steps: got 0; .*greater than or equal to 1"),
        ("  overfit_batches: null", "  overfit_batches: 2.5", "debug.overfit_batches: got 2.5; .*integer"),
        ("  overfit_batches: null", "  overfit_batches: true", "debug.overfit_batches: got True; .*integer"),
        ("    recipe: paper", "    recipe: paper\n    debug: {steps: 3}", "models.vgg: debug: unknown key"),
        ("    builtin: digits", "    url: https://x", "datasets.digits: invalid; needs either `builtin`"),
    ],
)
def test_an_error_is_one_line_that_names_the_key(
    load: Callable[[str], Params], old: str, new: str, message: str
) -> None:
    with pytest.raises(InputError, match=rf"params\.yaml: .*{message}") as caught:
        load(replaced(old, new))
    assert "\n" not in str(caught.value)


def test_a_python_object_is_an_error_and_is_not_constructed(load: Callable[[str], Params], tmp_path: Path) -> None:
    made = tmp_path / "made"
    with pytest.raises(InputError, match=r"line 4, column 7: could not determine a constructor .*python/object"):
        load(replaced("seed: 1", f'seed: !!python/object/apply:os.mkdir ["{made}"]'))
    assert not made.exists()


@pytest.mark.parametrize("text", ["", "- 1\n", "null\n", "epochs\n"])
def test_a_file_that_is_no_mapping_is_an_error(load: Callable[[str], Params], text: str) -> None:
    with pytest.raises(InputError, match=r"params\.yaml: is not a mapping"):
        load(text)


def test_words_are_read_as_dvc_writes_them(load: Callable[[str], Params]) -> None:
    """DVC writes YAML 1.2, where these are texts: no boolean, and no number of base 60."""
    words = ["yes", "no", "on", "off", "y", "12:30", "1_000:00"]
    file = io.StringIO()
    YAML().dump(words, file)  # the library that `dvc exp run -S` writes params.yaml with
    assert "'" not in file.getvalue()
    old = "[grasshopper, sports car, Yorkshire terrier]"
    text = replaced(f"  examples: {old}", "  examples:\n" + file.getvalue().replace("- ", "    - "))
    assert load(text).report.examples == words


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: not found; run from the repository's root"):
        load_params(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        load_params(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"dataset: K\xf6ter\n")
    with pytest.raises(InputError, match=r"cannot be read.*utf-8"):
        load_params(tmp_path / "latin.yaml")


def test_a_file_without_models_is_an_error(load: Callable[[str], Params]) -> None:
    with pytest.raises(InputError, match="models: is empty"):
        load(yaml.safe_dump(shrunk_params(models={})))


@pytest.mark.parametrize(("text", "value"), [("1e-3", 1e-3), ("1E-3", 1e-3), ("5.e+1", 50.0), ("1", 1.0), (".5", 0.5)])
def test_floats_are_those_of_yaml_1_2(load: Callable[[str], Params], text: str, value: float) -> None:
    assert {model.lr for model in load(replaced("lr: null", f"lr: {text}")).models.values()} == {value}


@pytest.mark.parametrize(("key", "value"), [("lr", 0.5), ("epochs", 3), ("batch_size", 7)])
def test_an_override_applies_to_all_models(load: Callable[[str], Params], key: str, value: Any) -> None:
    before, after = load(REAL), load(replaced(f"{key}: null", f"{key}: {value}"))
    for name, model in after.models.items():
        assert getattr(model, key) == value
        assert model == before.models[name].model_copy(update={key: value})
        assert model.recipe_epochs == before.models[name].recipe_epochs


def test_a_models_own_key_applies_to_it_alone(load: Callable[[str], Params]) -> None:
    before = load(REAL)
    after = load(replaced("  vgg:", "  vgg:\n    lr: 0.25\n    augmentation: {rotation_degrees: 5}"))
    changed, vgg = after.models.pop("vgg"), before.models.pop("vgg")
    changes = {"lr": 0.25, "augmentation.rotation_degrees": 5}
    assert flatten(changed.model_dump()) == flatten(vgg.model_dump()) | changes
    assert before.models == after.models


def test_an_override_wins_over_a_models_own_key(load: Callable[[str], Params]) -> None:
    params = load(replaced("lr: null", "lr: 0.5").replace("\n  vgg:\n", "\n  vgg:\n    lr: 0.25\n"))
    assert params.models["vgg"].lr == 0.5


def test_limits_of_a_debug_run_are_recorded_only_if_there_are_any(load: Callable[[str], Params]) -> None:
    before, after = load(REAL), load(replaced("  steps: null", "  steps: 3"))
    for name, model in after.models.items():
        assert model == before.models[name].model_copy(update={"debug": Debug(steps=3)})
        assert model.model_dump() == before.models[name].model_dump() | {"debug": {"steps": 3}}
        assert ModelSettings(**model.model_dump()) == model
    assert not [name for name, model in before.models.items() if "debug" in model.model_dump(mode="json")]
    without = yaml.safe_load(REAL)
    del without["debug"]
    assert load(yaml.safe_dump(without, sort_keys=False)) == before


def test_overfit_batches_switches_off_what_keeps_a_loss_from_zero(load: Callable[[str], Params]) -> None:
    before, after = load(REAL), load(replaced("  overfit_batches: null", "  overfit_batches: 2"))
    for name, model in after.models.items():
        off = {key: Recipe.model_fields[key].default for key in OVERFIT}
        expected = before.models[name].model_copy(update=off | {"debug": Debug(overfit_batches=2)})
        assert model == expected
    changed = {key for key in OVERFIT for model in before.models.values() if getattr(model, key) != off[key]}
    assert changed == OVERFIT.keys() - {"ema_momentum"}


@pytest.mark.parametrize("line", ["  steps: 1", "  fraction: 0.5"])
def test_overfit_batches_beside_another_limit_is_an_error(load: Callable[[str], Params], line: str) -> None:
    text = replaced("  overfit_batches: null", "  overfit_batches: 2").replace(f"{line.split(':')[0]}: null", line, 1)
    with pytest.raises(InputError, match=r"debug: invalid; overfit_batches already limits images and steps: set"):
        load(text)


def test_an_unknown_model_is_an_error_with_the_nearest_name(load: Callable[[str], Params]) -> None:
    with pytest.raises(InputError, match=r"models\.vg: no such model; did you mean 'vgg'"):
        load(REAL).model("vg")


def test_architectures_are_the_files_in_models() -> None:
    assert {"logistic_regression", "pretrained", "vgg"} <= set(architectures())
    assert not any(name.startswith("_") for name in architectures())


def test_every_recipe_of_the_repository_is_valid(load: Callable[[str], Params]) -> None:
    for name in yaml.safe_load(REAL)["recipes"]:
        text = replaced("  vgg:", f"  mine:\n    architecture: resnet\n    recipe: {name}\n  vgg:")
        assert load(text).models["mine"].recipe == name


def test_paper_names_every_key_of_a_recipe() -> None:
    paper = yaml.safe_load(REAL)["recipes"]["paper"]
    assert set(paper) == set(Recipe.model_fields)
    assert set(paper["augmentation"]) == set(Augmentation.model_fields)


@pytest.mark.parametrize("stage", [("train", "vgg"), ("evaluate", "vgg")])
def test_a_stage_reports_an_error_in_one_line_and_writes_nothing(tmp_path: Path, stage: tuple[str, str]) -> None:
    (tmp_path / "params.yaml").write_text(replaced("epochs: null", "epochs: -1"))
    status, out, err = run_stage(tmp_path, *stage)
    assert (status, out) == (2, "")
    assert err == f"error: {stage[0]}: params.yaml: epochs: got -1; input should be greater than or equal to 1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_an_error_is_reported_before_tensorflow_is_imported(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(replaced("epochs: null", "epochs: -1"))
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['train.py', 'vgg']\n"
        f"try: runpy.run_path({str(REPOSITORY / 'stages' / 'train.py')!r}, run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 2, end.code\n"
        "slow = {'tensorflow', 'keras', 'mlflow', 'sklearn', 'matplotlib'} & sys.modules.keys()\n"
        "assert not slow, slow\n"
    )
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True, timeout=300)
