import pytest
from benchmarks.plot import draw
from benchmarks.results import load_rows, make_row, merge, write_rows
from benchmarks.scratch import adapted
from benchmarks.table import BEGIN, END, make_lines, update_page

MACHINE = {
    "cores": 2,
    "cpu": "a CPU",
    "memory_gb": 8,
    "system": "Linux",
    "python": "3.11",
    "versions": {"x": "1"},
}


def row(theme="step", ours=(80.0, 90.0, 85.0), goal=80.0, better="higher", **options):
    made = make_row(f"row of {theme}", theme, list(ours), unit="%", goal=goal, better=better, **options)
    made.machine, made.date = MACHINE, "2026-01-01T00:00:00+00:00"
    return made


@pytest.mark.parametrize(
    ("ours", "goal", "better", "met"),
    [
        ([80.0, 90.0, 79.0], 80.0, "higher", True),
        ([80.0, 79.0, 79.0], 80.0, "higher", False),
        ([19.0, 21.0, 20.0], 20.0, "lower", True),
        ([21.0], 20.0, "lower", False),
        ([], 20.0, "lower", False),
        ([1.0], None, "higher", None),
    ],
)
def test_a_goal_is_met_by_the_median(ours, goal, better, met):
    assert row(ours=ours, goal=goal, better=better).met is met


@pytest.mark.parametrize(("peer", "met"), [([40.0, 45.0, 42.0], True), ([60.0, 60.0, 60.0], False)])
def test_the_goal_for_a_ratio_is_a_row_of_its_own(peer, met):
    made = row(peers={"peer": peer}, peer_goals={"peer": 1.5})
    assert made.peers["peer"]["met"] is met
    assert made.met is True  # by its own goal
    ours, ratio = make_lines(made)
    assert ours.startswith("| row of step | 85 % (80 to 90) | ≥ 80 | yes | peer: ")
    assert "goal" not in ours
    verdict = "yes" if met else "**no**"
    assert ratio == f"| row of step, compared with peer | {made.peers['peer']['ratio']:.2f} × | ≥ 1.5 | {verdict} | |"


def test_a_peer_that_was_not_measured_has_no_goal():
    made = row(peers={"peer": "no such module"}, peer_goals={"peer": 2.0})
    assert made.peers["peer"] == {"value": None, "ratio": None, "not measured": "no such module"}
    assert made.met is True
    (line,) = make_lines(made)
    assert "peer: not measured (no such module)" in line


def test_written_rows_are_read_back(tmp_path):
    rows = [row(peers={"peer": [1.0, 2.0, 3.0]}), row("input", goal=None)]
    write_rows(tmp_path / "results.json", rows)
    assert load_rows(tmp_path / "results.json") == rows
    assert load_rows(tmp_path / "none.json") == []


def test_merging_replaces_a_theme_and_keeps_the_order():
    old, new = [row("step", [1.0]), row("input", [2.0]), row("gone", [3.0])], [row("input", [4.0]), row("epoch", [5.0])]
    assert [one.ours for one in merge(old, new, ["step", "epoch", "input"])] == [1.0, 5.0, 4.0]


def test_the_page_keeps_the_text_around_the_table(tmp_path):
    page = tmp_path / "README.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    update_page(page, [row()])
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{BEGIN}\n| row |")
    assert text.endswith(f"{END}\nafter\n")
    assert "| row of step | 85 % (80 to 90) | ≥ 80 | yes |" in text
    assert "step: 2026-01-01, 2 cores of a CPU" in text
    assert "old" not in text


def test_equal_results_give_equal_plots(tmp_path):
    rows = [row(peers={"peer": [40.0, 45.0, 42.0], "absent": "why"}, peer_goals={"peer": 1.5})]
    for name in ("a.svg", "b.svg"):
        draw(tmp_path / name, rows)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "row of step:  peer" in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_a_benchmark_keeps_the_settings_that_it_does_not_change():
    params = {"dataset": "digits", "epochs": None, "lr": 0.5, "training": {"memory_gb": 8, "checkpoint_seconds": 300}}
    assert adapted(params, {"memory_gb": 0.1}) == {
        "dataset": "tiny-imagenet-200",
        "epochs": 1,
        "lr": 0.5,
        "training": {"memory_gb": 0.1, "checkpoint_seconds": 1e6},
    }
