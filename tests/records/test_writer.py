from pathlib import Path

import pytest
from tests.support.tiny_examples import EXAMPLES

from tiny_imagenet.core.errors import PipelineError
from tiny_imagenet.core.files import sha256_of
from tiny_imagenet.records.writer import write_shard


def test_equal_examples_give_equal_bytes(tmp_path: Path) -> None:
    one = write_shard(tmp_path / "a.tfrecord", EXAMPLES)
    other = write_shard(tmp_path / "b.tfrecord", [dict(reversed(item.items())) for item in EXAMPLES])
    assert one.sha256 == other.sha256


def test_the_entry_describes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    shard = write_shard(path, EXAMPLES)
    assert (shard.name, shard.num_images) == ("a.tfrecord", 20)
    assert (shard.bytes, shard.sha256) == (path.stat().st_size, sha256_of(path))


def test_a_shard_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"a\.tfrecord: cannot be written"):
        write_shard(tmp_path / "missing" / "a.tfrecord", EXAMPLES)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_an_error_of_the_shard() -> None:
    with pytest.raises(PipelineError, match=r"/dev/full: .*; check the disk's space"):
        write_shard(Path("/dev/full"), EXAMPLES)
