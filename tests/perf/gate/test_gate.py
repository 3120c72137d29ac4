"""The gate as its users run it: a repository, two commits, a benchmark, an exit code."""

import json
from pathlib import Path

import pytest

from tests.perf.gate.repository import PYTHON, Repository, gate

pytestmark = pytest.mark.commands


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


# --- the exit codes ---


def test_0_nothing_got_worse(repository: Repository) -> None:
    repository.commit(CALLS="1")
    ended = gate(repository)
    assert ended.code == 0, ended.err
    assert ended.verdicts == {"calls_per_step": "PASS", "cpu_seconds_per_step": "SHOWN"}
    assert ended.document["verdict"] == "PASS"


def test_1_one_more_call_is_found_every_time(repository: Repository) -> None:
    repository.commit(CALLS="3")
    ended = gate(repository)
    assert ended.code == 1, ended.err
    assert ended.verdicts["calls_per_step"] == "REGRESSION"
    assert ended.document["pairs"] == 6


def test_1_twice_the_work_needs_more_cpu_time(repository: Repository) -> None:
    base = repository.commit(CPU_GATES="True", ROUNDS="1000")
    repository.commit(CPU_GATES="True", ROUNDS="3000")
    ended = gate(repository, "--base", base)
    assert ended.code == 1, ended.err
    assert ended.verdicts == {"calls_per_step": "PASS", "cpu_seconds_per_step": "REGRESSION"}


def test_2_wrong_usage_says_what_is_wrong(repository: Repository, tmp_path: Path) -> None:
    for options, complaint in (
        (("--base", "nowhere"), "no commit 'nowhere' in"),
        (("--head", "nowhere"), "no commit 'nowhere' in"),
        (("--pairs", "10,5"), "'10,5' does not ascend from 1 or more"),
        (("--pairs", "few"), "'few' is no list of whole numbers"),
        (("--directory", str(tmp_path)), "is no git repository"),
        (("--timeout", "0"), "0.0 is not in the range"),
    ):
        ended = gate(repository, *options)
        assert ended.code == 2, ended.err
        assert complaint in json.loads(ended.err.splitlines()[-1])["error"]["message"]
    assert "Missing argument" in gate(repository, command=()).err


NOISY = """
from pathlib import Path
runs = Path({runs!r})
with runs.open("a") as file:
    file.write(".")
METRICS = {{"jobs_per_sec": (1, 9)[len(runs.read_text()) % 2]}}
"""


def test_3_noise_is_inconclusive(repository: Repository, tmp_path: Path) -> None:
    """Every other run is nine times as fast, and the seed decides of which side it is."""
    with (repository.directory / "work.py").open("a") as work:
        work.write(NOISY.format(runs=str(tmp_path / "runs")))
    base = repository.commit_all()
    ended = gate(repository, "--base", base, "--pairs", "8")
    assert ended.code == 3, ended.err
    assert ended.verdicts["jobs_per_sec"] == "INCONCLUSIVE"
    assert "base and head are the same commit" in " ".join(ended.document["notes"])


def test_4_other_work_is_incomparable(repository: Repository) -> None:
    repository.commit(STEPS="2")
    ended = gate(repository)
    assert ended.code == 4, ended.err
    assert ended.document["verdict"] == "INCOMPARABLE"
    assert "toy did other work in head" in ended.document["reason"]


@pytest.mark.parametrize(
    ("bench", "complaint"),
    [
        ("raise SystemExit('it broke')", "ended with 1"),
        ("pass", "head: the command wrote nothing"),
        ("print('fast')", "head's results: is not JSON"),
        ("print('{}')", "head's results: timestamp: is missing"),
    ],
)
def test_5_no_results_is_no_data(repository: Repository, bench: str, complaint: str) -> None:
    (repository.directory / "bench.py").write_text(bench)
    repository.commit_all()
    ended = gate(repository)
    assert ended.code == 5, ended.err
    assert ended.document["verdict"] == "NO DATA"
    assert complaint in ended.document["reason"]
    if "it broke" in bench:
        assert "it broke" in ended.document["reason"]


def test_5_a_run_that_takes_too_long_is_ended(repository: Repository) -> None:
    (repository.directory / "bench.py").write_text("import time; time.sleep(600)")
    base = repository.commit_all()
    ended = gate(repository, "--base", base, "--timeout", "0.5")
    assert ended.code == 5
    assert "did not end after 0." in ended.document["reason"]


def test_5_a_command_that_is_not_there(repository: Repository) -> None:
    ended = gate(repository, command=["no-such-benchmark"])
    assert ended.code == 5
    assert "no-such-benchmark" in ended.document["reason"]


# --- what it leaves, and what it tells ---


def test_results_may_go_to_a_file(repository: Repository) -> None:
    script = "import sys; sys.path.insert(0, ''); sys.stdout = open(sys.argv[1], 'w'); import bench"
    command = [*PYTHON[:-1], script, "{output}"]
    ended = gate(repository, command=command)
    assert ended.code == 0, ended.err


def test_the_checkouts_are_gone_afterwards(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    assert gate(repository, TMPDIR=str(tmp_path / "tmp")).code == 0
    assert len(repository.worktrees) == 1
    assert not list((tmp_path / "tmp").iterdir())


def test_artifacts_hold_every_pair_and_the_verdict(repository: Repository, tmp_path: Path) -> None:
    repository.commit(CALLS="3")
    folder = tmp_path / "new" / "artifacts"
    ended = gate(repository, "--artifacts", str(folder))
    pairs = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    assert [pair["purpose"] for pair in pairs] == ["warm-up", *["looking"] * 3, *["confirming"] * 3]
    assert {pair["first"] for pair in pairs} == {"base", "head"}
    assert pairs[0]["head"]["benchmarks"][0]["counts"] == {"calls_per_step": 3}
    assert json.loads((folder / "verdict.json").read_text()) == ended.document
    assert "| toy | calls_per_step | 2 | 3 | +50.0 % |" in (folder / "summary.md").read_text()


def test_the_seed_decides_the_order(repository: Repository, tmp_path: Path) -> None:
    def order(seed: str) -> list[str]:
        gate(repository, "--seed", seed, "--artifacts", str(tmp_path / seed))
        lines = (tmp_path / seed / "pairs.jsonl").read_text().splitlines()
        return [json.loads(line)["first"] for line in lines]

    assert order("5") == order("5") != order("6")


def test_github_gets_a_table_and_annotations(repository: Repository, tmp_path: Path) -> None:
    repository.commit(CALLS="3")
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    env = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    ended = gate(repository, **env)
    assert ended.code == 1
    assert (
        "::error title=Performance regression::toy calls_per_step: 2 → 3 (+50.0 %%25)".replace(
            "%%", "%"
        )
        in ended.err
    )
    assert ended.document["verdict"] == "REGRESSION"  # annotations do not spoil the JSON
    lines = summary.read_text().splitlines()
    assert lines[0] == "before"
    assert lines[1].startswith("### REGRESSION: head")
    assert any(line.startswith("| toy | calls_per_step |") for line in lines)
