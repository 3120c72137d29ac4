import io
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetq_server.cli.config import config as config_command
from fleetq_server.config import Settings, allowed, load_settings
from fleetq_server.errors import ConfigError
from fleetq_server.exposure import is_loopback
from fleetq_server.redaction import shown


@pytest.fixture
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in [f"FLEET_Q_{name.upper()}" for name in Settings.model_fields]:
        monkeypatch.delenv(variable, raising=False)


def load(
    tmp_path: Path, toml: str = "", flags: Mapping[str, object] | None = None, **environ: str
) -> Settings:
    if toml:
        (tmp_path / "fleetq.toml").write_text(toml)
    return load_settings(flags or {}, environ=environ, cwd=tmp_path)


def test_defaults_hold_and_say_so(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.store == "sqlite:///fleet.db"
    assert settings.capacity == 8
    assert set(settings.sources) == set(Settings.model_fields)
    assert set(settings.sources.values()) == {"default"}
    assert settings.warnings == ()


def test_flags_beat_environment_beats_file_beats_defaults(tmp_path: Path) -> None:
    toml = 'name = "file"\nmax_crashes = 5\nmax_parallelism = 20\nqueues = ["a", "b"]'
    flags = {"name": "flag"}
    settings = load(tmp_path, toml, flags, FLEET_Q_NAME="environment", FLEET_Q_MAX_PARALLELISM="30")
    assert (settings.name, settings.sources["name"]) == ("flag", "flag --name")
    assert settings.max_parallelism == 30
    assert settings.sources["max_parallelism"] == "environment FLEET_Q_MAX_PARALLELISM"
    assert (settings.max_crashes, settings.sources["max_crashes"]) == (5, "file fleetq.toml")
    assert settings.queues == ("a", "b")
    assert settings.sources["listen"] == "default"


def test_what_was_not_given_does_not_count(tmp_path: Path) -> None:
    flags = {"name": None, "handlers": (), "max_parallelism": None}
    settings = load(tmp_path, 'name = "file"', flags, FLEET_Q_HANDLERS="a", FLEET_Q_LISTEN="")
    assert settings.name == "file"
    assert settings.handlers == ("a",)
    assert settings.listen == "127.0.0.1:0"


def test_lists_take_commas_repeated_flags_and_toml_arrays(tmp_path: Path) -> None:
    settings = load(tmp_path, 'queues = ["x", "y"]', {"handlers": ("a,b", "c")})
    assert settings.handlers == ("a", "b", "c")
    assert settings.queues == ("x", "y")
    assert load(tmp_path, FLEET_Q_QUEUES=" p , q,").queues == ("p", "q")


def test_the_file_named_by_flag_or_variable_is_read(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text('name = "one"')
    (tmp_path / "two.toml").write_text('name = "two"')
    assert load(tmp_path, FLEET_Q_CONFIG="one.toml").name == "one"
    settings = load(tmp_path, flags={"config": "two.toml"}, FLEET_Q_CONFIG="one.toml")
    assert (settings.name, settings.sources["name"]) == ("two", "file two.toml")


@pytest.mark.parametrize(
    ("toml", "complaint"),
    [
        (
            "max_paralelism = 3",
            "file fleetq.toml: no setting 'max_paralelism'; the nearest is max_",
        ),
        ("max_crashes = 0", "file fleetq.toml: max_crashes=0 must be a whole number from 1"),
        ("queues = 3", "file fleetq.toml: queues=3 must be names, separated by commas"),
        ("max_crashes = ", "file fleetq.toml: Invalid value"),
    ],
)
def test_a_wrong_file_is_refused_by_file_and_key(tmp_path: Path, toml: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(tmp_path, toml)
    assert complaint in one_line(refusal)


def test_a_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"file gone.toml: No such file"):
        load(tmp_path, flags={"config": "gone.toml"})


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("MAX_PARALLELISM", "many", "must be a whole number from 1 up to 100000"),
        ("MAX_PARALLELISM", "0", "must be a whole number from 1 up to 100000"),
        ("CAPACITY_THRESHOLD", "1.1", "must be a number above 0 up to 1"),
        ("CAPACITY_THRESHOLD", "nan", "must be a number above 0 up to 1"),
        ("RETENTION_SECONDS", "-1", "must be a number from 0"),
        ("REFLECTION", "perhaps", "must be true or false"),
        ("LOG_LEVEL", "LOUD", "must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
        ("LOG_FORMAT", "xml", "must be one of console, json"),
        ("LISTEN", "localhost", "must be HOST:PORT"),
        ("LISTEN", "localhost:70000", "must be HOST:PORT"),
        ("LISTEN", ":80", "must be HOST:PORT"),
        ("STORE", "fleet.db", "must be a URL"),
    ],
)
def test_a_bad_value_is_refused_by_name_with_what_is_allowed(
    tmp_path: Path, variable: str, value: str, complaint: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_settings({}, environ={f"FLEET_Q_{variable}": value}, cwd=tmp_path)
    line = one_line(refusal)
    assert line.startswith(f"environment FLEET_Q_{variable}: {variable.lower()}='{value}' ")
    assert complaint in line
    with pytest.raises(ConfigError, match=f"flag --{variable.lower().replace('_', '-')}: "):
        load(tmp_path, flags={variable.lower(): value})


def test_every_bad_value_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(tmp_path, FLEET_Q_MAX_CRASHES="x", FLEET_Q_LISTEN="y")
    assert "FLEET_Q_MAX_CRASHES" in one_line(refusal)
    assert "FLEET_Q_LISTEN" in one_line(refusal)


def test_an_unknown_variable_is_a_warning_that_names_the_nearest(tmp_path: Path) -> None:
    known = {"FLEET_Q_ADDRESS": "a", "FLEET_Q_TEST_DSN": "b", "FLEET_QUEUE": "c"}
    wrong = {"FLEET_Q_LOGLEVEL": "DEBUG", "fleet_q_name": "x"}
    settings = load_settings({}, environ=known | wrong, cwd=tmp_path)
    assert settings.warnings == (
        "environment FLEET_Q_LOGLEVEL is not a setting; the nearest is FLEET_Q_LOG_LEVEL",
        "environment fleet_q_name is not a setting; the nearest is FLEET_Q_NAME",
    )
    assert settings.log_level == "INFO"
    assert settings.name == ""


def test_an_unknown_flag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="flag --nam: no setting 'nam'; the nearest is name"):
        load(tmp_path, flags={"nam": "x"})


@given(heartbeat=st.floats(0.01, 3600), threshold=st.floats(0.01, 86_400))
def test_a_threshold_under_two_heartbeats_is_refused_naming_both(
    heartbeat: float, threshold: float
) -> None:
    verdict = refusal_of(heartbeat_interval_seconds=heartbeat, dead_pod_threshold_seconds=threshold)
    assert bool(verdict) == (threshold < 2 * heartbeat)
    if verdict:
        assert f"dead_pod_threshold_seconds={threshold:g} " in verdict
        assert f"heartbeat_interval_seconds={heartbeat:g}:" in verdict


@given(parallelism=st.integers(1, 100_000), hundredths=st.integers(1, 100))
def test_capacity_is_the_exact_floor_and_zero_is_refused(parallelism: int, hundredths: int) -> None:
    values = {"max_parallelism": parallelism, "capacity_threshold": hundredths / 100}
    room = parallelism * hundredths // 100
    if room:
        assert Settings.model_validate(values).capacity == room
    else:
        verdict = refusal_of(**values)
        assert f"max_parallelism={parallelism} " in verdict
        assert "capacity_threshold=" in verdict


@pytest.mark.parametrize("listen", ["0.0.0.0:1", "[::]:1", "example.org:1", "10.0.0.1:1"])
def test_serving_other_hosts_needs_an_explicit_word(listen: str) -> None:
    verdict = refusal_of(listen=listen)
    assert f"listen={listen}" in verdict
    assert "allow_insecure=false" in verdict
    assert Settings(listen=listen, allow_insecure=True).listen == listen


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:5", "localhost:7", "127.9.9.9:1"])
def test_loopback_needs_none(listen: str) -> None:
    assert is_loopback(listen)
    assert Settings(listen=listen).listen == listen


@given(st.dictionaries(st.sampled_from(sorted(Settings.model_fields)), st.text(), max_size=6))
def test_any_environment_is_either_accepted_or_one_line(environ: dict[str, str]) -> None:
    try:
        settings = load_settings(
            {}, environ={f"FLEET_Q_{k.upper()}": v for k, v in environ.items()}
        )
    except ConfigError as refusal:
        text = str(refusal)
    else:
        text = repr(settings)
        assert math.isfinite(settings.heartbeat_interval_seconds)
    assert text.isprintable()


def test_settings_alone_read_nothing_from_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fleetq.toml").write_text('name = "file"')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLEET_Q_NAME", "environment")
    assert Settings().name == ""
    assert load_settings({}).name == "environment"


def test_the_log_format_follows_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert Settings().log_format == "json"
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert Settings().log_format == "console"


def test_no_password_is_ever_shown() -> None:
    url = "postgresql://me:se:cr@et@db.example/fleet?sslmode=require&password=hunter2"
    assert shown("store", url) == (
        "postgresql://me:***@db.example/fleet?sslmode=require&password=***"
    )
    assert "et@" not in repr(Settings(store=url))
    assert shown("name", url) == url


def test_every_setting_is_described_and_bounded_in_words() -> None:
    for name, field in Settings.model_fields.items():
        assert (field.description or "").endswith("."), name
        assert allowed(name), name


@pytest.mark.usefixtures("_here")
def test_fleetq_config_prints_value_and_source_of_every_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fleetq.toml").write_text('store = "postgresql://me:secret@db/x"')
    monkeypatch.setenv("FLEET_Q_LISTEN", "[::1]:80")
    monkeypatch.setenv("FLEET_Q_LISTN", "x")
    monkeypatch.setenv("COLUMNS", "200")
    config_command.main(["--json"], standalone_mode=False)
    as_json = capsys.readouterr()
    rows = {row["setting"]: row for row in json.loads(as_json.out)}
    assert set(rows) == set(Settings.model_fields)
    assert rows["listen"]["value"] == "[::1]:80"
    assert rows["listen"]["source"] == "environment FLEET_Q_LISTEN"
    assert rows["store"]["source"] == "file fleetq.toml"
    assert "the nearest is FLEET_Q_LISTEN" in as_json.err
    config_command.main([], standalone_mode=False)
    table = capsys.readouterr().out
    assert all(name in table for name in rows)
    assert "[::1]:80" in table
    assert "secret" not in table + as_json.out


def one_line(refusal: pytest.ExceptionInfo[ConfigError]) -> str:
    text = str(refusal.value)
    assert "\n" not in text
    return text


def refusal_of(**values: object) -> str:
    try:
        Settings.model_validate(values)
    except ConfigError as refusal:
        text = str(refusal)
        assert "\n" not in text
        return text
    return ""
