"""The user's settings of Keras: not read, and left as they are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.tiny_records import REPOSITORY

from tiny_imagenet.core import keras_settings

CODE = """
from tiny_imagenet.distribute import devices
import keras, os
config = keras.config
print(config.backend(), config.floatx(), config.epsilon(), config.image_data_format(), config.dtype_policy().name)
print(keras.src.backend.config.keras_home(), os.environ["KERAS_HOME"])
"""


def test_an_invalid_file_and_another_backend_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text(json.dumps({"floatx": "half", "backend": "jax", "epsilon": "small"}))
    variables = {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "jax", "KERAS_MAX_EPOCHS": "one"}
    environment = os.environ | variables | {"PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "tensorflow float32 1e-07 channels_last float32",
        f"{tmp_path} {tmp_path}",  # where downloaded weights are
    ], done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["keras.json"]


@pytest.mark.parametrize("home", ["/somewhere", None])
def test_the_variable_is_restored(home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    if home:
        monkeypatch.setenv("KERAS_HOME", home)
    with keras_settings.default_settings():
        folder = Path(os.environ["KERAS_HOME"])
        assert list(folder.iterdir()) == []
        assert "KERAS_BACKEND" not in os.environ
    assert os.environ.get("KERAS_HOME") == home
    assert keras_settings.home() == home or home is None
    assert not folder.exists()
