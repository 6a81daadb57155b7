import subprocess
import sys
from pathlib import Path

import pytest

BODY = """
from tiny_imagenet.core.process import command_process
with command_process("export"), open("/dev/full", "w", buffering=1) as file:
    file.write("a line\\n")
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full: it is Linux's")
def test_a_full_disk_is_one_line() -> None:
    ended = subprocess.run([sys.executable, "-c", BODY], env={"PYTHONPATH": "src"}, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr == "error: export: disk: no space left on device; free some space (docs/operations.md)\n"
