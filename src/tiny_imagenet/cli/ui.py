"""The command `tiny-imagenet ui`: MLflow's UI on this checkout's runs, opened on their comparison."""

from __future__ import annotations

import argparse
from pathlib import Path

from tiny_imagenet.cli.trained_models import add_root_argument

HELP = "start MLflow's UI, and print the link that opens the training runs, best first"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--port", type=int, default=5000, help="on 127.0.0.1; default: 5000")
    add_root_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serves the UI until it is interrupted; a server that MLFLOW_TRACKING_URI names needs no other."""
    from tiny_imagenet.tracking.servers import serve_ui  # MLflow takes seconds to import

    return serve_ui(Path(arguments.root), arguments.port)
