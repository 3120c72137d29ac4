"""`fleetq submit` against a pod's edge: good lines go through whatever the bad ones are."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from click.testing import CliRunner, Result

from fleetq_server.cli.main import main
from fleetq_server.errors import FleetError, IdempotencyConflict, InvalidArgument, StoreUnavailable
from fleetq_server.pb import step_pb2
from tests.unit.client_fake import FakeSteps, serving


def refuse(steps: Sequence[step_pb2.NewStep]) -> FleetError | None:
    seen: set[str] = set()
    for index, step in enumerate(steps):
        if step.queue == "BAD":
            return InvalidArgument(f"steps[{index}].queue", "is no queue name")
        if step.idempotency_key in seen:
            return IdempotencyConflict(step.idempotency_key)
        seen.update({step.idempotency_key} - {""})
    return None


async def submit(fake: FakeSteps, *args: str, stdin: bytes = b"") -> Result:
    def run() -> Result:
        return CliRunner().invoke(main, ["submit", "-a", address, *args], input=stdin)

    async with serving(fake) as (address, _):
        return await asyncio.to_thread(run)


def lines(*records: object) -> bytes:
    texts = (r if isinstance(r, str) else json.dumps(r) for r in records)
    return "".join(f"{text}\n" for text in texts).encode()


async def test_bad_lines_are_named_and_the_good_ones_are_submitted(tmp_path: Path) -> None:
    file = tmp_path / "steps.jsonl"
    key = "k" * 200
    file.write_bytes(
        lines(
            {"kind": "a"},
            "nonsense",
            {"kind": "b", "queue": "BAD"},
            {"kind": "c", "idempotency_key": key},
            {"kind": "d", "idempotency_key": key},
            "",
            {"kind": "e", "quue": "x"},
            {"kind": "f"},
        )
    )
    fake = FakeSteps(refuse)
    done = await submit(fake, str(file))
    assert done.exit_code == 1
    assert fake.taken == ["a", "c", "f"]
    assert done.stdout.split() == ["1", "2", "3"]
    bad = [line for line in done.stderr.splitlines() if line.startswith(str(file))]
    assert [line.split(":")[1] for line in bad] == ["2", "3", "5", "7"]
    assert "3 steps submitted, 4 bad" in done.stderr


async def test_json_tells_of_each_line_in_order() -> None:
    stdin = lines({"kind": "a"}, "{", {"kind": "b", "queue": "BAD"}, {"kind": "c"})
    done = await submit(FakeSteps(refuse), "-", "--json", stdin=stdin)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["line"] for each in told] == [1, 2, 3, 4]
    assert told[0] == {"line": 1, "step_id": "1", "deduplicated": False}
    assert told[2]["error"]["field"] == "queue"
    assert done.stderr == ""
    assert done.exit_code == 1


async def test_many_lines_go_in_batches() -> None:
    fake = FakeSteps(refuse)
    done = await submit(
        fake, "-", "--no-ids", stdin=lines(*({"kind": f"k{n}"} for n in range(2500)))
    )
    assert done.exit_code == 0
    assert max(len(call) for call in fake.calls) <= 1000
    assert fake.taken == [f"k{n}" for n in range(2500)]
    assert done.stdout == ""


async def test_a_fleet_that_fails_half_way_is_told_with_what_was_done() -> None:
    fake = FakeSteps(lambda steps: StoreUnavailable("disk full", 60.0) if len(fake.taken) else None)
    stdin = lines(*({"kind": "k", "payload": "x" * 1000} for _ in range(1500)))
    done = await submit(fake, "-", stdin=stdin)
    assert done.exit_code == 3
    taken = len(fake.taken)
    assert f"{taken} steps submitted" in done.stderr
    assert f"standard input: lines {taken + 1} to " in done.stderr, "those of one request"
    assert "disk full" in done.stderr.splitlines()[-1]


async def test_one_step_by_flags_and_its_end() -> None:
    fake = FakeSteps()
    args = ("--kind", "k", "--payload", '{"n": 1}', "--wait", "--wait-timeout", "0")
    done = await submit(fake, *args, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout.splitlines()[-1]) == {"line": 1, "step_id": "1", "state": None}
    done = await submit(fake, *args)
    assert done.exit_code == 0
    assert done.stdout == "2\n"
    done = await submit(fake, *args)
    assert "--payload: step 3 has not ended" in done.stderr


async def test_json_tells_of_each_line_that_was_not_acknowledged() -> None:
    fake = FakeSteps(lambda steps: StoreUnavailable("disk full", 60.0))
    done = await submit(fake, "-", "--json", stdin=lines({"kind": "a"}, {"kind": "b"}))
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["line"], each["error"]["type"]) for each in told] == [
        (1, "StoreUnavailable"),
        (2, "StoreUnavailable"),
    ]
    assert done.exit_code == 3
