"""Bundles made by hand: histories told step by step, judged by the real checkers."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_fleetq.report import environment, verdicts
from pytest_fleetq.report.bundle import FAULTS, Bundle
from pytest_fleetq.report.environment import Environment, PodTold
from pytest_fleetq.report.verdicts import Ended
from pytest_fleetq.verdict import choose, judge
from tests.plugin.verdict.story import Story

PODS = ("pod-0", "pod-1", "pod-2")
HOLDERS = {"pod-0": "a" * 32, "pod-1": "b" * 32, "pod-2": "c" * 32, "pod-10": "d" * 32}
NASTY = "</script><script>document.title = 'owned'</script><!-- <img src=x onerror=alert(1)>"
AGAIN = "pytest test_it.py::test_it --fleetq-seed 7"


class Told(Story):
    """A story in which pods join, and the store's clock agrees with the recorder's."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "history.jsonl")
        with self.path.open() as lines:
            header = json.loads(lines.readline())
        self._skew = header["wall"] - header["monotonic"]

    def event(self, type: str, /, *steps: int, **more: Any) -> None:
        super().event(type, *steps, **{"at": self._skew + self.now, **more})

    def pod(self, name: str) -> None:
        address = f"127.0.0.1:4000{name[-1]}"
        self._fleet("pod_joined", name, name=name, type="pod", address=address)

    def leads(self, name: str, term: int) -> None:
        self._fleet("leader", name, term=term)

    def dies(self, name: str) -> None:
        self._fleet("pod_dead", name, proof="lock")

    def submitted(self, *steps: int) -> None:
        """Acknowledged some moments after it happened, as always."""
        asked = {"count": len(steps), "kind": "resize", "queue": "default"}
        number = self.recorder.invoke("client-1/7", "submit", asked)
        self.event("submitted", *steps)
        self.recorder.ok(number, "submit", {**asked, "step_ids": list(steps)})

    def claimed(self, step: int, name: str) -> None:
        self.event("claimed", step, holder=HOLDERS[name])

    def ended(self, step: int, name: str, how: str = "completed", **detail: str) -> None:
        self.event(how, step, holder=HOLDERS[name], **detail)

    def _fleet(self, type: str, pod: str, /, **more: object) -> None:
        self.event(type, holder=HOLDERS[pod], queue=None, **more)


def a_broken_run(folder: Path) -> Bundle:
    """Three pods; a pause on pod-1 and a kill of pod-0; step 5 is claimed by two at once."""
    told = Told(folder)
    for name in PODS:
        told.pod(name)
    told.leads("pod-0", 1)
    told.submitted(1, 2, 3, 4, 5)
    _work(told, 1, "pod-0")
    with told.fault("pause", "pod-1"):
        told.after(0.1)
        _work(told, 2, "pod-2")
        told.read(2, "COMPLETED")
        told.after(0.2)
    with told.fault("kill", "pod-0"):
        told.claimed(3, "pod-0")
        told.after(0.1)
        told.dies("pod-0")
        told.leads("pod-1", 2)
        told.ended(3, "pod-0", "recovered")
        _work(told, 3, "pod-1")
        told.read(3, "COMPLETED")
        told.after(0.1)
    told.claimed(4, "pod-2")
    told.after(0.04)
    told.ended(4, "pod-2", "dead", cause="handler_error")
    told.claimed(5, "pod-1")
    told.after(0.05)
    told.claimed(5, "pod-2")
    told.after(0.05)
    told.ended(5, "pod-2")
    told.journal()
    return bundled(folder, told)


def bundled(folder: Path, told: Story, outcome: str = "failed") -> Bundle:
    told.recorder.close()
    pods = tuple(PodTold(name, "runs", 1000, "127.0.0.1:1") for name in PODS)
    checkers = judge(told.path, choose(silence=["conservation"])).results
    run = Environment("test_it.py::test_it", 7, AGAIN, "cluster", pods=pods)
    ended = Ended(outcome, f"E   AssertionError: {NASTY}" if outcome == "failed" else "", checkers)
    (folder / environment.FILE).write_text(run.to_json())
    (folder / verdicts.FILE).write_text(ended.to_json())
    colours = [{"fault": "pause", "colour": "#dd2200"}, {"fault": "kill", "colour": "#0022dd"}]
    (folder / FAULTS).write_text(json.dumps(colours))
    for name in PODS:
        (folder / name).mkdir()
        (folder / name / "log").write_text(f"{name} began\n{NASTY}\n")
    return Bundle(folder)


def _work(told: Told, step: int, name: str) -> None:
    told.claimed(step, name)
    told.after(0.04)
    told.ended(step, name)


def a_long_run(folder: Path, steps: int) -> Bundle:
    """A minute in which two clients' steps are worked off by three pods, one call for each."""
    with (folder / "history.jsonl").open("w") as file:
        file.writelines(json.dumps(one, separators=(",", ":")) + "\n" for one in _long(steps))
    return Bundle(folder)


def _long(steps: int) -> Iterator[dict[str, Any]]:
    wall, seq = 1.79e9, itertools.count(1)

    def event(t: float, type: str, holder: str, **more: Any) -> dict[str, Any]:
        about = {"type": "event", "t": t, "seq": next(seq), "at": wall + t, "event": type}
        return {**about, "holder": holder, **more}

    yield {"type": "header", "version": 1, "monotonic": 0.0, "wall": wall, "run": {}}
    for name in PODS:
        yield event(0.0, "pod_joined", HOLDERS[name], detail={"name": name, "type": "pod"})
    for step in range(1, steps + 1):
        t, holder = round(60 * step / steps, 6), HOLDERS[PODS[step % 3]]
        call = {"id": step, "process": f"client-{step % 2}", "name": "submit"}
        yield {"type": "invoke", **call, "t": t, "value": {"kind": "resize"}}
        yield {"type": "ok", **call, "t": t + 0.001, "value": {"step_ids": [step]}}
        yield event(t, "submitted", "", queue="q", step_ids=[step])
        yield event(t + 0.002, "claimed", holder, queue="q", step_ids=[step])
        ended = "retrying" if step % 500 == 0 else "completed"
        yield event(t + 0.01, ended, holder, queue="q", step_ids=[step])
