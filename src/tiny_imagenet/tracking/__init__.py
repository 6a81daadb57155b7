"""MLflow: nothing outside this folder imports it. What it reads when it is imported is set here."""

import os

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# A lost server must not hold up a training.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
