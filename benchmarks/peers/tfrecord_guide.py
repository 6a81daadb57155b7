"""The loop of TensorFlow's TFRecord guide, in one process. Arguments: FOLDER SCRATCH "decode" or "copy"."""

import sys
import time
from pathlib import Path

import tensorflow as tf

from benchmarks.serving import serve


def bytes_feature(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def int_feature(value: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def image_example(image: bytes, label: int, decode: bool) -> tf.train.Example:
    height, width, depth = tf.io.decode_jpeg(image).shape if decode else (64, 64, 3)
    feature = {
        "height": int_feature(height),
        "width": int_feature(width),
        "depth": int_feature(depth),
        "label": int_feature(label),
        "image_raw": bytes_feature(image),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature))


def main(folder: str, scratch: str, decode: str) -> None:
    classes = sorted(Path(folder).iterdir())
    files = [(path, label) for label, name in enumerate(classes) for path in sorted(name.iterdir())]
    target = Path(scratch) / "guide.tfrecord"

    def measure():
        began = time.perf_counter()
        with tf.io.TFRecordWriter(str(target)) as writer:
            for path, label in files:
                writer.write(image_example(path.read_bytes(), label, decode == "decode").SerializeToString())
        took = time.perf_counter() - began
        target.unlink()
        return {"images_per_second": len(files) / took}

    serve(measure, images=len(files))


if __name__ == "__main__":
    main(*sys.argv[1:])
