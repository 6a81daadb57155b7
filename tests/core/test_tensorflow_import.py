"""The first import of TensorFlow, in a process of its own."""

import subprocess
import sys

from tests.support.tiny_records import REPOSITORY

CODE = """
import gc, sys
from tiny_imagenet.distribute import devices
print(gc.isenabled(), gc.get_freeze_count() > 100_000, "matplotlib" in sys.modules, "sklearn" in sys.modules)
import matplotlib, pandas, sklearn
print(pandas.Series([1, 2]).sum())
"""


def test_optional_packages_stay_importable_and_collections_leave_tensorflow_out() -> None:
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, env={"PYTHONPATH": str(REPOSITORY / "src")}, capture_output=True, text=True)
    assert (done.stdout.splitlines(), done.stderr) == (["True True False False", "3"], "")


def test_an_import_that_fails_leaves_everything_as_it_was() -> None:
    code = """
import gc, sys
from tiny_imagenet.core.tensorflow_import import first_import
try:
    with first_import():
        import no_such_package
except ImportError as error:
    print(error.name, gc.isenabled(), [name for name, module in sys.modules.items() if module is None])
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env={"PYTHONPATH": str(REPOSITORY / "src")}, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("no_such_package True []\n", "")
