"""`fleetq gate compare`."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fleetq_server.cli.main import main
from pytest_fleetq.perf.results import Results
from tests.perf.gate.made import CPU, MACHINE, RATE, results


@pytest.fixture
def compare(tmp_path: Path):
    def run(base: Results, head: Results) -> tuple[int, dict[str, Any]]:
        names = []
        for name, each in (("A.json", base), ("B.json", head)):
            (tmp_path / name).write_text(each.to_json())
            names.append(str(tmp_path / name))
        ended = CliRunner().invoke(main, ["gate", "compare", *names, "--json"])
        return ended.exit_code, json.loads(ended.stdout)

    return run


@pytest.mark.parametrize(
    ("metric", "base", "head", "code"),
    [
        (CPU, 10, 14.9, 0),
        (CPU, 10, 15.1, 1),
        (RATE, 15.1, 10, 1),
        (RATE, 14.9, 10, 0),
        (RATE, 10, 100, 0),
        (RATE, 10, 0, 3),
    ],
)
def test_only_what_is_beyond_noise_fails(
    compare, metric: str, base: float, head: float, code: int
) -> None:
    assert compare(results({metric: base}), results({metric: head}))[0] == code


def test_counts_are_exact_and_it_says_that_nothing_was_paired(compare) -> None:
    code, document = compare(results({CPU: 1}, {"n": 2}), results({CPU: 1}, {"n": 2.01}))
    assert code == 1
    assert document["paired"] is False
    assert "unpaired" in document["notes"][0]
    assert {f["metric"]: f["note"] for f in document["findings"]} == {"n": "exact", CPU: "unpaired"}


def test_another_machine_is_refused(compare) -> None:
    other = results({CPU: 1}, fingerprint={**MACHINE, "cores": 64})
    code, document = compare(results({CPU: 1}), other)
    assert code == 4
    assert document["reason"] == "head is of another machine: cores: 64, not 1"


def test_an_unknown_machine_is_refused(compare) -> None:
    code, document = compare(results({CPU: 1}), results({CPU: 1}, fingerprint={}))
    assert code == 4
    assert document["reason"].startswith("head has no configuration.fingerprint")


def test_other_work_and_nothing_in_common_are_refused(compare) -> None:
    one, other = results({CPU: 1}, workload={"n": 1}), results({CPU: 1}, workload={"n": 2})
    assert compare(one, other)[0] == 4
    assert compare(results({CPU: 1}), results({RATE: 1}))[0] == 4


def test_what_did_not_succeed_is_no_data(compare) -> None:
    assert compare(results({CPU: 1}), results({CPU: 1}, success=False))[0] == 5


def test_what_is_gone_is_inconclusive(compare) -> None:
    assert compare(results({CPU: 1, RATE: 1}), results({CPU: 1}))[0] == 3


def test_a_file_that_is_no_results_is_named(tmp_path: Path) -> None:
    path = tmp_path / "A.json"
    path.write_text('{"timestamp": "2026-01-01"}')
    ended = CliRunner().invoke(main, ["gate", "compare", str(path), str(path)])
    assert ended.exit_code == 5
    assert f"{path}: benchmarks: is missing" in ended.stderr


def test_a_file_that_is_not_there_is_wrong_usage() -> None:
    ended = CliRunner().invoke(main, ["gate", "compare", "no-such.json", "no-such.json"])
    assert ended.exit_code == 2


def test_people_get_a_table(tmp_path: Path) -> None:
    path = tmp_path / "A.json"
    path.write_text(results({CPU: 1.25}).to_json())
    ended = CliRunner().invoke(main, ["gate", "compare", str(path), str(path)])
    assert ended.exit_code == 0
    assert "PASS (unpaired)" in ended.stdout
    assert ended.stdout.splitlines()[-1] == f"PASS: head {path} against base {path}"[:200]
