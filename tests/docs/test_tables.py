"""Tables of the pages say what the code says."""

from fleetq_server.config import NOT_SETTINGS, PREFIX, Settings, allowed
from pytest_fleetq.perf.monitor.alerts import CLEAR_FRACTION, LOOKS, Limits
from pytest_fleetq.perf.monitor.command import monitor
from tests.docs.pages import text_of


def rows(page: str, heading: str) -> list[str]:
    """Of the table whose heading begins so."""
    text = text_of(page)
    start = text.index(heading)
    return text[start:].partition("\n\n")[0].splitlines()[2:]


def row_of(name: str) -> str:
    """A setting, as configuration.md has it."""
    field = Settings.model_fields[name]
    default = "" if field.default_factory else field.default
    text = ",".join(default) if isinstance(default, tuple) else f"{default}"
    if isinstance(default, bool):
        text = text.lower()
    elif isinstance(default, float):
        text = f"{default:.10g}"
    shown = f"`{text}`" if text else ""
    return f"| `{PREFIX}{name.upper()}` | {shown} | {allowed(name)} | {field.description} |"


def test_every_setting_is_listed_with_its_default() -> None:
    assert rows("configuration.md", "| variable | default |") == list(
        map(row_of, Settings.model_fields)
    )


def test_every_other_variable_is_listed() -> None:
    listed = [row.split("`")[1] for row in rows("configuration.md", "| variable | what it is |")]
    assert sorted(listed) == sorted(NOT_SETTINGS)


def test_every_alert_is_listed_with_its_limit() -> None:
    cells = [row.strip("| ").split(" | ") for row in rows("monitoring.md", "| flag | default |")]
    listed = {flag.strip("`"): float(limit.split()[0]) for flag, limit, _ in cells}
    flags = {one.opts[0]: one for one in monitor.params if one.opts[0].startswith("--alert-")}
    assert listed == {flag: option.default for flag, option in flags.items()}
    assert set(listed.values()) == {getattr(Limits(), name) for name in Limits.__slots__}


def test_the_patience_of_alerts_is_what_it_says() -> None:
    assert f"needs {LOOKS} looks in a row" in text_of("monitoring.md")
    assert f"below {CLEAR_FRACTION:g} of it" in text_of("monitoring.md")
