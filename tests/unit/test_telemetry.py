import asyncio
import contextvars
import json
import logging
import threading
import warnings
from collections.abc import Iterator

import pytest
import structlog

from fleetq_server.model import Claim, Fence, StepId
from fleetq_server.telemetry import configure_logging, current_attempt, get_logger, log_context

log = get_logger()


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []
    yield
    logging.captureWarnings(False)
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    output = capsys.readouterr()
    assert output.out == ""
    return [json.loads(line) for line in output.err.splitlines()]


def test_every_line_carries_the_pod_and_what_is_bound(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json", pod="p1")
    with log_context(step=5, attempt=2):
        log.info("started", kind="hash")
    log.warning("idle")
    started, idle = lines(capsys)
    assert {k: started[k] for k in ("event", "pod", "step", "attempt", "kind", "level")} == {
        "event": "started",
        "pod": "p1",
        "step": 5,
        "attempt": 2,
        "kind": "hash",
        "level": "info",
    }
    assert str(started["timestamp"]).endswith("Z")
    assert "step" not in idle
    assert idle["pod"] == "p1"


def test_a_line_logged_during_an_attempt_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    claim = Claim(StepId(7), Fence(1), "k", "q", b"", {}, None, 2, 0, None, 0.0, 0.0)
    configure_logging("INFO", "json", pod="p1")
    contextvars.copy_context().run(_log_during, claim)
    log.info("after")
    during, library, after = lines(capsys)
    assert (during["step"], during["attempt"]) == ("7", 2)
    assert (library["step"], library["attempt"]) == ("7", 2)
    assert "step" not in after


def _log_during(claim: Claim) -> None:
    current_attempt.set(claim)
    log.info("working")
    logging.getLogger("library").info("too")


def test_lines_of_libraries_come_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json", pod="p1")
    with log_context(term=3):
        logging.getLogger("some.library").warning("lost %s", "it", extra={"peer": "x"})
    logging.getLogger("some.library").info("%d%%", 50)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", stacklevel=1)
    lost, half, old = lines(capsys)
    assert (lost["event"], lost["pod"], lost["term"], lost["peer"]) == ("lost it", "p1", 3, "x")
    assert half["event"] == "50%"
    assert "UserWarning: old" in str(old["event"])


def test_lines_below_the_level_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("WARNING", "json")
    log.info("no")
    logging.getLogger("library").info("no")
    log.error("yes")
    assert [line["event"] for line in lines(capsys)] == ["yes"]


def test_a_second_configuration_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("ERROR", "json", pod="old")
    log.error("one")
    configure_logging("DEBUG", "json", pod="new")
    log.debug("two")
    assert [line["pod"] for line in lines(capsys)] == ["old", "new"]


async def test_threads_and_tasks_carry_the_pod_but_not_each_others_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("INFO", "json", pod="p1")

    async def one(step: int, other: asyncio.Event, mine: asyncio.Event) -> None:
        with log_context(step=step):
            mine.set()
            await other.wait()
            log.info("task", expected=step)

    first, second = asyncio.Event(), asyncio.Event()
    await asyncio.gather(one(1, first, second), one(2, second, first))
    with log_context(step=9):
        thread = threading.Thread(target=contextvars.Context().run, args=(log.info, "thread"))
        thread.start()
        thread.join()
    *tasks, thread_line = lines(capsys)
    assert all(line["step"] == line["expected"] for line in tasks)
    assert {line["step"] for line in tasks} == {1, 2}
    assert thread_line["pod"] == "p1"
    assert "step" not in thread_line


def test_a_traceback_stays_one_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json", pod="p1")
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("failed")
        logging.getLogger("library").exception("failed too")
    for line in lines(capsys):
        assert str(line["exception"]).startswith("Traceback")
        assert str(line["exception"]).endswith("ValueError: broken")


def test_the_console_form_is_plain_text_without_locals(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "console", pod="p1")
    password = "hunter2"
    try:
        raise ValueError(len(password))
    except ValueError:
        log.exception("failed", step=4)
    text = capsys.readouterr().err
    assert "pod=p1" in text
    assert "step=4" in text
    assert "ValueError: 7" in text
    assert "hunter2" not in text
    assert "\x1b[" not in text


def test_what_cannot_be_written_as_json_is_still_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("INFO", "json")
    log.info("odd", raw=b"\xff", error=ValueError("x"), snow="❄")
    (line,) = lines(capsys)
    assert line["raw"] == repr(b"\xff")
    assert line["snow"] == "❄"
