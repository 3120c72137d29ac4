import runpy
import sys

import pytest


def test_the_comparison_starts_where_no_peer_is_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("asyncpg", "pgqueuer", "procrastinate", "uvloop"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in [name for name in sys.modules if name.startswith("tests.perf.peers.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "argv", ["compare", "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module("tests.perf.peers.compare", run_name="__main__")
    assert "--rounds" in capsys.readouterr().out
