"""Valid and invalid values of TF_CONFIG."""

from __future__ import annotations

import pytest
from tests.distribute.test_cluster import tf_config

from tiny_imagenet.core.errors import InputError
from tiny_imagenet.distribute import devices
from tiny_imagenet.distribute.tf_config import Cluster, read_tf_config


def test_tf_config_names_the_chief_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", tf_config(2, worker=["b:1", "[::1]:2"], chief=["a:1"]))
    assert read_tf_config() == Cluster(("chief", "worker 0", "worker 1"), ("a:1", "b:1", "[::1]:2"), index=2)
    monkeypatch.setenv("TF_CONFIG", tf_config(1, worker=["a:1", "b:1"]).replace("1}", '"1"}'))
    assert read_tf_config() == Cluster(("worker 0", "worker 1"), ("a:1", "b:1"), index=1)


@pytest.mark.parametrize("text", ["", " ", "{}", '{"cluster": {}}', '{"cluster": {"worker": ["a:1"]}}'])
def test_one_worker_needs_no_cluster(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    assert read_tf_config() is None
    assert devices.make_strategy("cpu", "auto").num_replicas_in_sync == 1
    with pytest.raises(InputError, match="strategy: multi_worker, and TF_CONFIG names no other worker; set TF_CONFIG"):
        devices.make_strategy("cpu", "multi_worker")


PAIR = '"cluster": {"worker": ["a:1", "b:1"]}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"cannot be read \("),
        ("[]", r"cannot be read \("),
        ('{"cluster": []}', r"cannot be read \("),
        ('{"cluster": {"worker": 2}}', r"cannot be read \("),
        ("{" + PAIR + ', "task": {"type": "worker", "index": "two"}}', r"cannot be read \("),
        ('{"cluster": {"worker": ["a:1", "b:1"], "ps": ["c:1"]}}', "names a job 'ps', not used here"),
        ('{"cluster": {"worker": ["a:1", "b"]}}', "'b' is no host:port"),
        ('{"cluster": {"worker": ["a:1", "a:1"]}}', "two workers have one address"),
        ('{"cluster": {"chief": ["a:1", "b:1"]}}', "there are two chiefs"),
        ("{" + PAIR + "}", "task None -1 is not in the cluster"),
        ("{" + PAIR + ', "task": {"type": "worker", "index": 2}}', "task worker 2 is not in the cluster"),
        ("{" + PAIR + ', "task": {"type": "chief", "index": 0}}', "task chief 0 is not in the cluster"),
    ],
)
def test_an_invalid_tf_config_is_an_error(monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match=f"^TF_CONFIG: .*{message}"):
        devices.make_strategy("cpu", "auto")
    assert devices.make_strategy("cpu", "single").num_replicas_in_sync == 1
    assert devices.make_strategy("cpu", "auto", alone=True).num_replicas_in_sync == 1
