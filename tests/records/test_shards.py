from pathlib import Path

from tests.support.tiny_archive import SIZE, members, write_archive

from tiny_imagenet.archive.zip_archive import Archive
from tiny_imagenet.dataset.manifest import Manifest, Split
from tiny_imagenet.images.reader import iterate_examples
from tiny_imagenet.records.shards import plan_shards, write_task
from tiny_imagenet.records.splits import Dataset, Image, load_dataset, shuffle_train


def test_shards_are_balanced_and_in_order() -> None:
    images = [Image(str(index), 0) for index in range(11)]
    tasks = plan_shards(Dataset((), {"train": images, "val": images[:4]}), SIZE, Path("d"), shard_images=4)
    assert [task.path.name for task in tasks] == [
        "train-00000-of-00003.tfrecord",
        "train-00001-of-00003.tfrecord",
        "train-00002-of-00003.tfrecord",
        "val-00000-of-00001.tfrecord",
    ]
    assert [len(task.images) for task in tasks] == [3, 4, 4, 4]
    assert [image for task in tasks[:3] for image in task.images] == images


def test_a_shard_holds_the_unchanged_images(tmp_path: Path) -> None:
    files = members()
    with Archive(write_archive(tmp_path / "archive.zip", files)) as archive:
        dataset = shuffle_train(load_dataset(archive), seed=1)
        written = {
            task.split: write_task(archive, task).shard
            for task in plan_shards(dataset, SIZE, tmp_path, shard_images=100)
        }
    splits = {split: Split.of([shard]) for split, shard in written.items()}
    manifest = Manifest("tiny", SIZE, dataset.classes, splits, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    for split, images in dataset.splits.items():
        examples = list(iterate_examples(tmp_path, manifest, split))
        assert [item["image/encoded"] for item in examples] == [files[image.name] for image in images]
        assert [item["image/class/label"] for item in examples] == [image.label for image in images]
        assert [item["image/filename"].decode() for item in examples] == [Path(image.name).name for image in images]
    first = next(iterate_examples(tmp_path, manifest, "val"))
    del first["image/encoded"]
    assert first == {
        "image/format": b"jpeg",
        "image/height": SIZE,
        "image/width": SIZE,
        "image/class/label": 0,
        "image/class/synset": b"n02",
        "image/class/text": b"dog, hound",
        "image/filename": b"val_0.JPEG",
    }
    unlabeled = next(iterate_examples(tmp_path, manifest, "test"))
    assert unlabeled["image/class/label"] == -1
    assert unlabeled["image/class/synset"] == unlabeled["image/class/text"] == b""
