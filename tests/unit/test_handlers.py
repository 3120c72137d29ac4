"""Handlers are found by their decorator, and mistakes are told at start."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fleetq_server.core.context import Context, Stop, encode_result
from fleetq_server.core.handlers import InvalidPayload, Mode, handler, load_handlers
from fleetq_server.core.pools import Pools
from fleetq_server.errors import ConfigError, InvalidArgument
from fleetq_server.model import Claim, Fence, Result, StepId


@handler("resize")
async def resize(ctx: Context) -> None: ...


@handler("report")
@handler("report:monthly")
def report(ctx: Context) -> None: ...


@handler("crunch", process=True)
def crunch(ctx: Context) -> None: ...


def claim(**changes: Any) -> Claim:
    plain = Claim(StepId(7), Fence(1), "resize", "mail", b"{}", {}, None, 1, 0, None, 0.0, 100.0)
    return plain._replace(**changes)


def test_the_way_a_function_is_written_decides_where_it_runs() -> None:
    found = load_handlers((), [resize, report, crunch])
    assert {kind: one.mode for kind, one in found.items()} == {
        "resize": Mode.LOOP,
        "report": Mode.THREAD,
        "report:monthly": Mode.THREAD,
        "crunch": Mode.PROCESS,
    }


def test_a_module_gives_all_its_handlers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "shop_handlers.py").write_text(
        "from fleetq_server.core.handlers import handler\n"
        "@handler('buy')\nasync def buy(ctx): ...\n"
        "@handler('sell')\ndef sell(ctx): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert set(load_handlers(["shop_handlers"])) == {"buy", "sell"}
    assert set(load_handlers(["shop_handlers", "shop_handlers"])) == {"buy", "sell"}


def test_two_handlers_of_one_kind_are_refused() -> None:
    @handler("resize")
    async def another(ctx: Context) -> None: ...

    with pytest.raises(ConfigError, match=r"'resize' is handled by .*resize and by .*another"):
        load_handlers((), [resize, another])


@pytest.mark.parametrize(
    ("module", "text", "says"),
    [
        ("nowhere_to_be_found", None, "no module 'nowhere_to_be_found'"),
        ("imports_nothing", "import surely_not_there", "importing imports_nothing failed"),
        ("breaks", "1 / 0", "ZeroDivisionError"),
        ("is_not_python", "def", "SyntaxError"),
        ("has_none", "def f(ctx): ...", "no function decorated with @handler"),
    ],
)
def test_a_module_that_cannot_serve_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str, text: str | None, says: str
) -> None:
    if text is not None:
        (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=says):
        load_handlers([module])


def test_what_claims_every_attribute_is_no_handler() -> None:
    class Anything:
        def __getattr__(self, name: str) -> object:
            return lambda: None

        def __call__(self) -> None: ...

    with pytest.raises(ConfigError):
        load_handlers((), [SimpleNamespace(thing=Anything())])


@pytest.mark.parametrize("kind", ["", "white space", "ünïcode", "x" * 129])
def test_a_malformed_kind_is_refused_where_it_is_written(kind: str) -> None:
    with pytest.raises(InvalidArgument, match="kind"):
        handler(kind)


async def test_process_handlers_need_processes() -> None:
    with pytest.raises(ConfigError, match="process_workers"):
        Pools(4, 0, list(load_handlers((), [crunch]).values()))


def test_the_deadline_counts_from_the_claim() -> None:
    assert Context(claim()).deadline is None
    assert Context(claim(timeout=2.5)).deadline == 102.5


def test_the_key_for_side_effects_is_the_same_for_every_attempt() -> None:
    keys = {Context(claim(attempt=n, fence=Fence(n))).idempotency_key for n in range(1, 4)}
    assert len(keys) == 1


def test_a_payload_that_is_no_json_is_the_payloads_fault() -> None:
    with pytest.raises(InvalidPayload):
        Context(claim(payload=b"\xff")).json()


def test_cancelled_is_set_whether_it_was_looked_at_before_or_not() -> None:
    before, after = Context(claim()), Context(claim())
    assert not before.cancelled.is_set()
    for ctx in (before, after):
        ctx.stop(Stop.CANCELLED)
        ctx.stop(Stop.TIMEOUT)
    assert before.cancelled.is_set()
    assert after.cancelled.is_set()
    assert before.stopped is Stop.CANCELLED, "the first reason stays"


def test_progress_is_limited_and_not_for_processes() -> None:
    reports = []
    ctx = Context(claim(), lambda of, data: reports.append((of.step_id, data)))
    ctx.progress({"share": 0.5})
    ctx.progress(b"x" * 4096)
    assert reports == [(7, b'{"share": 0.5}'), (7, b"x" * 4096)]
    with pytest.raises(InvalidArgument):
        ctx.progress(b"x" * 4097)
    with pytest.raises(RuntimeError):
        Context(claim()).progress(1)


def test_results_are_kept_as_json_or_bytes() -> None:
    assert encode_result(None) is None
    assert encode_result(b"\xff") == Result(b"\xff", False)
    assert encode_result([1, "ü"]) == Result(b'[1, "\\u00fc"]', True)
    for wrong in (float("inf"), {1}, asyncio, b"x" * (256 * 1024 + 1)):
        with pytest.raises((TypeError, ValueError)):
            encode_result(wrong)
