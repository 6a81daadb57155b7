import os
from pathlib import Path

import pytest
from benchmarks.rounds import paired_ratio, take_turns
from benchmarks.subjects import Subject


@pytest.fixture
def subject(tmp_path):
    def make(name, kind="well", **options):
        return Subject(name, "tests.benchmarks.echo", kind, logs=tmp_path, **options)

    return make


def test_subjects_are_measured_in_turn_each_in_one_process(subject):
    lines = []
    series = take_turns([subject("a"), subject("b")], 2, lines.append)
    assert lines == ["round 1/2: a", "round 1/2: b", "round 2/2: a", "round 2/2: b"]
    assert series["a"]["count"] == series["b"]["count"] == [1, 2]
    assert len({*series["a"]["process"], *series["b"]["process"]}) == 2
    assert series["a"].about == {"kind": "well"}


def test_a_fresh_subject_is_a_new_process_in_each_round(subject):
    series = take_turns([subject("a", fresh=True)], 3, lambda _: None)
    assert series["a"]["count"] == [1, 1, 1]
    assert len({*series["a"]["process"]}) == 3


def test_a_subject_that_fails_is_left_out_with_its_last_line(subject):
    series = take_turns([subject("a", "fail"), subject("b")], 3, lambda _: None)
    assert series["a"].missing == "RuntimeError: out of luck"
    assert series["a"].rounds == []
    assert series["b"]["count"] == [1, 2, 3]


def test_a_subject_without_its_environment_is_left_out(subject):
    series = take_turns([subject("a", python=Path("/nowhere/.venv-bench/bin/python"))], 1, lambda _: None)
    assert series["a"].missing == ".venv-bench not found: run `make bench`"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system cannot pin a process to a core")
def test_a_pinned_subject_has_one_core(subject):
    assert take_turns([subject("a", cpus=(0,))], 1, lambda _: None)["a"]["cores"] == [1]


def test_the_ratio_is_the_median_over_pairs():
    ours, peer = [10.0, 20.0, 60.0], [5.0, 5.0, 10.0]  # pair by pair 2, 4, 6; the medians' ratio would be 4 too
    assert paired_ratio(ours, peer, "higher") == 4
    assert paired_ratio([30.0, 1.0, 10.0], [10.0, 10.0, 10.0], "higher") == 1
    assert paired_ratio([5.0, 5.0, 5.0], [10.0, 20.0, 10.0], "lower") == 2
