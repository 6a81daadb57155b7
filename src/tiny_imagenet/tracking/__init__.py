"""Tracking with MLflow, the only package that imports it. Sets the environment variables that MLflow reads."""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# A server that does not answer must not delay a training.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
