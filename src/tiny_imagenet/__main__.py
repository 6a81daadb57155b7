"""Runs `python -m tiny_imagenet` as the command `tiny-imagenet`."""

import sys

from tiny_imagenet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
