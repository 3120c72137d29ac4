"""A million operations are judged in ten seconds of one core."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_fleetq.verdict import DEFAULT_CHECKERS, Verdict, judge

BUDGET = 10.0 / 1_000_000  # CPU seconds per operation
SLACK = 2.0  # a core shared with others may be half as fast
GROUP = 8  # steps that the fleet's group commits put into one event


def _lines(steps: int) -> Iterator[str]:
    """Every step submitted, claimed, completed and awaited by an operation of its own."""
    number = moment = seq = 0
    yield '{"type":"header","version":1,"monotonic":1.0,"wall":1790000000.0,"run":{}}\n'
    for first in range(1, steps + 1, GROUP):
        group = range(first, min(first + GROUP, steps + 1))
        holder = f'"holder":"{first:032x}"'
        for name, event in (
            ("submit", "submitted"), ("claim", "claimed"), ("complete", "completed"), ("wait", ""),
        ):  # fmt: skip
            calls = [
                (number + index, *_call(name, step, holder)) for index, step in enumerate(group)
            ]
            number += len(calls)
            for call, asked, _ in calls:
                moment += 1
                head = f'"id":{call},"t":{moment / 1e5}'
                about = f'"process":"p","name":"{name}","value":{{{asked}}}'
                yield f'{{"type":"invoke",{head},{about}}}\n'
            for call, asked, answer in calls:
                moment += 1
                head = f'"id":{call},"t":{moment / 1e5}'
                yield f'{{"type":"ok",{head},"name":"{name}","value":{{{asked},{answer}}}}}\n'
            if event:
                seq += 1
                ids = ",".join(map(str, group))
                about = f'"seq":{seq},"at":{1.79e9 + moment / 1e5},"event":"{event}","queue":"q"'
                who = f",{holder}" if event == "claimed" else ""
                yield f'{{"type":"event","t":{moment / 1e5},{about}{who},"step_ids":[{ids}]}}\n'
    yield f'{{"type":"invoke","id":{number},"t":0,"process":"p","name":"journal","value":{{}}}}\n'
    told = f'"value":{{"after":0,"through":{seq}}}'
    yield f'{{"type":"ok","id":{number},"t":0,"name":"journal",{told}}}\n'


def _call(name: str, step: int, holder: str) -> tuple[str, str]:
    fence = step * 7919 + 2**61
    claim = f'{{"step_id":{step},"fence":{fence}'
    if name == "submit":
        return '"kind":"resize","queue":"q","count":1', f'"step_ids":[{step}]'
    if name == "claim":
        return holder, f'"claims":[{claim},"attempt":1}}]'
    if name == "complete":
        return holder, f'"items":[{claim},"result":"12:77aa88bb","verdict":"ok"}}]'
    seen = f'{{"step_id":{step},"state":"COMPLETED","result":"12:77aa88bb"}}'
    return f'"step_ids":[{step}]', f'"steps":[{seen}]'


@pytest.mark.parametrize("operations", [40_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_judging_takes_ten_microseconds_an_operation(tmp_path: Path, operations: int) -> None:
    path = tmp_path / "history.jsonl"
    with path.open("w") as file:
        file.writelines(_lines(operations // 4))
    began = time.process_time()
    judgement = judge(path, DEFAULT_CHECKERS)
    spent = time.process_time() - began
    print(f"{operations} operations judged in {spent:.2f} s of CPU time")
    assert judgement.verdict is Verdict.PASS, judgement.describe()
    assert spent < BUDGET * SLACK * operations
