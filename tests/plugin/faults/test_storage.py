"""Disk faults of processes that know nothing of them."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_fleetq.faults import proc
from pytest_fleetq.faults.errors import FaultUnavailable
from pytest_fleetq.faults.handle import Injection
from pytest_fleetq.faults.registry import Registry
from pytest_fleetq.faults.storage import strace, tmpfs
from tests.plugin.faults.world import (
    TinyFleet,
    TinyPod,
    connect,
    gone,
    python,
    read_all,
    running,
    until,
)

needs_strace = pytest.mark.skipif(bool(strace.unavailable()), reason=str(strace.unavailable()))
needs_tmpfs = pytest.mark.skipif(bool(tmpfs.unavailable()), reason=str(tmpfs.unavailable()))

# Answers each question with what became of a write and a sync: "0 0 SECONDS" if all is well.
WRITER = """
import os, socket, sys, time
folder = sys.argv[1] if len(sys.argv) > 1 else "."
file = os.open(folder + "/data", os.O_RDWR | os.O_CREAT | os.O_APPEND)
def tried(what):
    try:
        what()
        return 0
    except OSError as error:
        return error.errno
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    one, _ = listener.accept()
    one.recv(5)
    began = time.monotonic()
    wrote = tried(lambda: os.write(file, b"x" * 5000))
    synced = tried(lambda: os.fsync(file))
    one.sendall(f"{wrote:3} {synced:3} {time.monotonic() - began:9.3f}".encode())
    one.close()
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[TinyFleet]:
    with running(TinyFleet(tmp_path, [TinyPod(0, tmp_path, python(WRITER))])) as fleet:
        yield fleet


def write(fleet: TinyFleet) -> tuple[int, int, float]:
    """→ errno of a write, of a sync, and how long both took"""
    with connect(fleet.pods[0].address) as client:
        client.sendall(b"write")
        wrote, synced, took = read_all(client).split()
    return int(wrote), int(synced), float(took)


def inject(fleet: TinyFleet, name: str, **settings: object) -> Injection:
    fault = Registry().make(name, **settings)
    return Injection(fault, fleet.pods, record=lambda *_: None).start(fleet)


@needs_strace
@pytest.mark.parametrize(
    ("on", "outcome"),
    [("write", (errno.EIO, 0)), ("sync", (0, errno.EIO)), ("both", (errno.EIO, errno.EIO))],
)
def test_writes_and_syncs_fail_and_heal(
    writer: TinyFleet, on: str, outcome: tuple[int, int]
) -> None:
    assert write(writer)[:2] == (0, 0)
    with inject(writer, "io_error", on=on) as injection:
        assert write(writer)[:2] == outcome
    assert write(writer)[:2] == (0, 0)
    assert injection.check_effect().startswith("pod-0: io_error ")


@needs_strace
def test_other_files_and_the_network_are_spared(writer: TinyFleet, tmp_path: Path) -> None:
    data = writer.pods[0].directory / "data"
    with inject(writer, "io_error", path=str(data)):
        assert write(writer)[0] == errno.EIO, "and the answer went through"
    with inject(writer, "io_error", path=str(tmp_path / "elsewhere")):
        assert write(writer)[0] == 0


@needs_strace
def test_a_full_disk(writer: TinyFleet) -> None:
    with inject(writer, "disk_full") as injection:
        assert write(writer)[:2] == (errno.ENOSPC, 0)
    assert write(writer)[:2] == (0, 0)
    assert injection.check_effect()


@needs_strace
def test_slow_syncs(writer: TinyFleet) -> None:
    with inject(writer, "slow_sync", delay=0.2) as injection:
        assert write(writer)[2] >= 0.2
    assert write(writer)[2] < 0.2
    assert injection.check_effect() == "pod-0: slow_sync 1 time"


@needs_strace
def test_a_pod_whose_disk_fails_can_be_paused(writer: TinyFleet) -> None:
    with inject(writer, "io_error", on="sync"):
        with inject(writer, "pause") as pause:
            assert pause.check_effect() == "pod-0 in state t"
        assert write(writer)[:2] == (0, errno.EIO)


@needs_strace
def test_a_process_without_files_cannot_have_disk_faults(fleet: TinyFleet) -> None:
    with pytest.raises(FaultUnavailable, match="no regular file open"):
        inject(fleet, "io_error")


@needs_strace
def test_the_tracer_goes_when_the_pod_dies(writer: TinyFleet) -> None:
    pod = writer.pods[0]
    with inject(writer, "io_error"):
        tracer = int(proc.status(pod.pid, "TracerPid"))
        found = proc.stat(tracer)
        assert found is not None
        pod.kill()
        gone(tracer, found.born)


@needs_tmpfs
def test_a_small_disk_is_really_full(tmp_path: Path) -> None:
    pod = TinyPod(0, tmp_path, python(WRITER))
    tmpfs.mount(pod.directory, 300_000)
    try:
        with running(TinyFleet(tmp_path, [pod])) as fleet:
            assert write(fleet)[0] == 0
            with inject(fleet, "disk_full", room=20_000) as injection:
                fates = [write(fleet)[0] for _ in range(8)]
                assert fates[0] == 0
                assert fates[-1] == errno.ENOSPC
            assert write(fleet)[0] == 0
            assert "bytes free" in injection.check_effect()
    finally:
        tmpfs.unmount(pod.directory)
    assert not pod.directory.is_mount()


def test_the_machines_own_disk_is_never_filled(tmp_path: Path) -> None:
    assert not tmpfs.is_small_disk(tmp_path)
    assert not tmpfs.is_small_disk(Path("/"))


@pytest.mark.parametrize("name", ["power_loss", "held_write_lock"])
def test_faults_of_a_sqlite_store_need_one(fleet: TinyFleet, name: str) -> None:
    with pytest.raises(FaultUnavailable, match="SQLite"):
        inject(fleet, name)


def test_a_probe_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    assert strace.unavailable.__wrapped__() == "strace is not installed"
    assert "cannot be mounted" in (tmpfs.unavailable.__wrapped__() or "")


def test_written_files_are_not_the_log(writer: TinyFleet) -> None:
    found = until(lambda: proc.written_files(writer.pods[0].pid), "it has its file open")
    assert [path.name for path in found] == ["data"]
