"""Settings: flags over environment over file over defaults, and where each value came from.

`Settings(...)` itself reads nothing from outside; only `load_settings` does.
"""

import difflib
import math
import os
import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from fleetq_server.errors import ConfigError
from fleetq_server.exposure import exposures, half_tls
from fleetq_server.redaction import shown

PREFIX = "FLEET_Q_"
DEFAULT_FILE = "fleetq.toml"
NOT_SETTINGS = frozenset(
    {
        *("FLEET_Q_ADDRESS", "FLEET_Q_CONFIG", "FLEET_Q_TEST_DSN"),
        *("FLEET_Q_CA", "FLEET_Q_CERTIFICATE", "FLEET_Q_KEY", "FLEET_Q_SERVER_NAME"),
        *("FLEET_Q_TOKEN", "FLEET_Q_TOKEN_FILE"),
    }
)
# What makes a pod fail on purpose is asked for where everybody who looks at its command line sees
# it, and cannot be inherited from an environment or found lying in a folder.
FLAGS_ONLY = frozenset({"failpoints", "faults"})

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
LogFormat = Literal["console", "json"]
Names = Annotated[tuple[str, ...], NoDecode]
DAY = 86_400.0


def _default_log_format() -> LogFormat:
    return "console" if sys.stderr.isatty() else "json"


class Settings(BaseSettings):
    """What one pod runs with."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )

    store: str = Field(
        default="sqlite:///fleet.db",
        repr=False,
        description="Where the steps are: sqlite:///PATH, or postgresql://USER@HOST/DATABASE.",
    )
    listen: str = Field(
        default="127.0.0.1:0", description="HOST:PORT to serve gRPC on; port 0 takes a free one."
    )
    handlers: Names = Field(default=(), description="Modules whose handlers this pod runs.")
    name: str = Field(default="", description="A name for people to recognise the pod by.")
    queues: Names = Field(
        default=(), description="Queues this pod's handlers serve; empty means all."
    )
    max_parallelism: int = Field(
        default=10,
        ge=1,
        le=100_000,
        description="The most steps this pod runs at once, before threshold.",
    )
    capacity_threshold: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="The share of max_parallelism that is filled with claims.",
    )
    claim_interval_seconds: float = Field(
        default=1.0,
        gt=0,
        le=3600,
        description="How often to look for steps that no wake-up announced.",
    )
    heartbeat_interval_seconds: float = Field(
        default=1.0, gt=0, le=3600, description="Time between two heartbeats of a holder."
    )
    dead_pod_threshold_seconds: float = Field(
        default=5.0, gt=0, le=86_400, description="Silence after which a holder is taken for dead."
    )
    max_crashes: int = Field(
        default=3, ge=1, le=1000, description="Pods lost under a step until it goes to the DLQ."
    )
    shutdown_grace_seconds: float = Field(
        default=10.0,
        ge=0,
        le=3600,
        description="How long running handlers may finish when draining.",
    )
    retention_seconds: float = Field(
        default=DAY, ge=0, description="How long completed and cancelled steps are kept."
    )
    dead_retention_seconds: float = Field(
        default=30 * DAY, ge=0, description="How long steps in the DLQ are kept."
    )
    process_workers: int = Field(
        default=0, ge=0, le=1024, description="Processes for handlers that compute; 0 means none."
    )
    max_waiting_calls: int = Field(
        default=1000, ge=1, description="Long polls a pod holds open before it refuses more."
    )
    max_pending_writes: int = Field(
        default=20_000, ge=1, description="Steps waiting to be written before a pod refuses more."
    )
    wal_checkpoint_bytes: int = Field(
        default=16 * 1024 * 1024,
        ge=65_536,
        description="Size of the SQLite WAL at which it is emptied.",
    )
    tls_certificate: str = Field(
        default="",
        description="Serves TLS with this certificate: a PEM file, read again when it changes.",
    )
    tls_key: str = Field(default="", description="The key of tls_certificate: a PEM file.")
    tls_client_ca: str = Field(
        default="",
        description="Only clients with a certificate signed by one of these may connect: PEM.",
    )
    tokens: str = Field(
        default="",
        description="Only calls with a token may enter: a file of lines by fleetq token new.",
    )
    max_principal_waiting_calls: int = Field(
        default=200, ge=1, description="Long polls a pod holds open for one name of tokens."
    )
    max_principal_calls_per_second: float = Field(
        default=1000.0, gt=0, description="Calls a pod takes from one name of tokens."
    )
    allow_insecure: bool = Field(
        default=False, description="Permits serving other hosts without encryption or credentials."
    )
    metrics: str = Field(
        default="", description="HOST:PORT for metrics and probes by HTTP; empty means none."
    )
    traces: bool = Field(default=False, description="Makes every attempt a span of OpenTelemetry.")
    reflection: bool = Field(
        default=False, description="Lets tools such as grpcurl discover the API."
    )
    log_level: LogLevel = Field(default="INFO", description="The least important lines to log.")
    log_format: LogFormat = Field(
        default_factory=_default_log_format,
        description="Form of log lines; console if stderr is a terminal, otherwise json.",
    )
    failpoints: str = Field(
        default="", description="For tests, a flag only: places where this pod fails on purpose."
    )
    faults: str = Field(
        default="", description="For tests, a flag only: file that switches faults on and off."
    )

    _sources: Mapping[str, str] = PrivateAttr(default_factory=dict)
    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @property
    def sources(self) -> Mapping[str, str]:
        """Where each value came from: `flag --x`, `environment X`, `file X` or `default`."""
        return MappingProxyType({f: self._sources.get(f, "default") for f in _fields()})

    @property
    def warnings(self) -> tuple[str, ...]:
        """What looks like a mistake but stops nothing; whoever loads the settings shows it."""
        return self._warnings

    @property
    def capacity(self) -> int:
        """Steps this pod claims when idle."""
        # The small term undoes binary fractions: 100 × 0.29 is 28.999999999999996.
        return math.floor(self.max_parallelism * self.capacity_threshold + 1e-9)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @field_validator("handlers", "queues", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            return value
        return tuple(name.strip() for v in value for name in v.split(",") if name.strip())

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("store")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if not re.match(r"[a-z][a-z0-9+.-]*:", value):
            raise ValueError("must be a URL such as sqlite:///fleet.db")
        return value

    @field_validator("metrics")
    @classmethod
    def _is_address_or_none(cls, value: str) -> str:
        return value and cls._is_address(value)

    @field_validator("listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        host, colon, port = value.rpartition(":")
        if not (colon and host and port.isascii() and port.isdigit() and int(port) < 65_536):
            raise ValueError("must be HOST:PORT with a port from 0 to 65535")
        return value

    @model_validator(mode="after")
    def _agree(self) -> Self:
        half = half_tls(self.tls_certificate, self.tls_key, self.tls_client_ca)
        for refusal in (self._death(), self._room(), half, self._exposure()):
            if refusal:
                raise ConfigError(refusal)
        return self

    def _death(self) -> str:
        beat, threshold = self.heartbeat_interval_seconds, self.dead_pod_threshold_seconds
        if threshold >= 2 * beat:
            return ""
        return (
            f"dead_pod_threshold_seconds={threshold:g} is less than twice "
            f"heartbeat_interval_seconds={beat:g}: one late heartbeat would kill a pod"
        )

    def _room(self) -> str:
        if self.capacity >= 1:
            return ""
        return (
            f"max_parallelism={self.max_parallelism} with "
            f"capacity_threshold={self.capacity_threshold:g} leaves no room for a single step"
        )

    def _exposure(self) -> str:
        tls, credentials = bool(self.tls_certificate), bool(self.tokens or self.tls_client_ca)
        addresses = {} if self.allow_insecure else {"listen": self.listen, "metrics": self.metrics}
        return exposures(addresses, tls=tls, credentials=credentials)


def load_settings(
    flags: Mapping[str, object],
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Settings:
    """The settings in force. ConfigError, in one line, if they are wrong or contradict.

    Flags that are None or empty were not given. `flags["config"]` names the file, or else
    FLEET_Q_CONFIG, or else fleetq.toml in `cwd` if it is there.
    """
    environ = os.environ if environ is None else environ
    given = {k: v for k, v in flags.items() if v is not None and v != ()}
    file = given.pop("config", None) or environ.get("FLEET_Q_CONFIG")
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    layers = (
        _from_file(str(file) if file else None, cwd or Path.cwd()),
        _from_environment(environ),
        {name: (f"flag --{name.replace('_', '-')}", value) for name, value in given.items()},
    )
    for layer in layers:
        for field, (origin, value) in layer.items():
            values[field], origins[field] = value, origin
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise ConfigError(_explain(error, origins)) from None
    settings._sources, settings._warnings = origins, tuple(_strangers(environ))
    return settings


def allowed(name: str) -> str:
    """What a setting may be, in words."""
    field = _fields()[name]
    return f"{_sort(field)}{_bounds(field)}"


_Layer = dict[str, tuple[str, object]]  # field → where the value comes from, the value


def _fields() -> dict[str, FieldInfo]:
    return Settings.model_fields


def _from_environment(environ: Mapping[str, str]) -> _Layer:
    source = EnvSettingsSource(Settings)
    # An empty variable counts as unset, as everywhere in shells and compose files.
    source.env_vars = {k.lower(): v for k, v in environ.items() if v and k == k.upper()}
    return {
        f: (f"environment {PREFIX}{f.upper()}", v)
        for f, v in source().items()
        if f in _fields() and f not in FLAGS_ONLY
    }


def _from_file(name: str | None, cwd: Path) -> _Layer:
    path = cwd / (name or DEFAULT_FILE)
    if name is None and not path.exists():
        return {}
    shown_name = name or DEFAULT_FILE
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"file {shown_name}: {error.strerror or error}") from None
    except ValueError as error:
        raise ConfigError(f"file {shown_name}: {error}") from None
    for key in table:
        if key not in _fields():
            raise ConfigError(f"file {shown_name}: no setting {key!r}{_hint(key, _fields())}")
        if key in FLAGS_ONLY:
            raise ConfigError(f"file {shown_name}: {key} is a flag only, --{key}")
    return {key: (f"file {shown_name}", value) for key, value in table.items()}


def _strangers(environ: Mapping[str, str]) -> list[str]:
    known = {f"{PREFIX}{f.upper()}" for f in _fields()} | NOT_SETTINGS
    strange = sorted(k for k in environ if k.upper().startswith(PREFIX) and k not in known)
    return [
        *(f"environment {k} is not a setting{_hint(k.upper(), known)}" for k in strange),
        *(
            f"environment {PREFIX}{f.upper()} is ignored: a pod fails on purpose by --{f} only"
            for f in sorted(FLAGS_ONLY)
            if environ.get(f"{PREFIX}{f.upper()}")
        ),
    ]


def _hint(word: str, known: Mapping[str, Any] | set[str]) -> str:
    near = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0)
    return f"; the nearest is {near[0]}" if near else ""


def _explain(error: ValidationError, origins: Mapping[str, str]) -> str:
    return "; ".join(
        _problem(str(e["loc"][0]), e["type"], e["msg"], e["input"], origins)
        for e in error.errors(include_url=False)
    )


def _problem(name: str, kind: str, message: str, value: object, origins: Mapping[str, str]) -> str:
    where = origins.get(name, "default")
    if name not in _fields():
        return f"{where}: no setting {name!r}{_hint(name, _fields())}"
    what = f"{where}: {name}={shown(name, value)!r}"
    if kind == "value_error":
        return f"{what} {message.removeprefix('Value error, ')}"
    return f"{what} must be {allowed(name)}"


def _sort(field: FieldInfo) -> str:
    if field.annotation is int:
        return "a whole number"
    if field.annotation is float:
        return "a number"
    if field.annotation is bool:
        return "true or false"
    if field.annotation is str:
        return "text"
    choices = [c for c in get_args(field.annotation) if isinstance(c, str)]
    return f"one of {', '.join(choices)}" if choices else "names, separated by commas"


_WORDS = {"ge": " from", "gt": " above", "le": " up to"}


def _bounds(field: FieldInfo) -> str:
    found = {key: getattr(m, key) for m in field.metadata for key in _WORDS if hasattr(m, key)}
    return "".join(f"{_WORDS[key]} {found[key]:g}" for key in _WORDS if key in found)
