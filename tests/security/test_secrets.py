"""Secrets appear in nothing that a pod or a command prints, whatever goes wrong."""

import os
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner

from fleetq_server.cli.main import main
from fleetq_server.client import Client, Tls
from fleetq_server.errors import ConfigError, FleetError
from fleetq_server.redaction import shown
from fleetq_server.rpc.security.tokens import Role
from tests.cluster.fleet import Pods
from tests.security.calls import BOUND, RPCS, answer, bearer, empty
from tests.security.conftest import Keyring
from tests.security.pki import Authority

PASSWORD = "hunter2"
STORES = [
    f"postgresql://ada:{PASSWORD}@127.0.0.1:1/fleet",
    f"postgresql://ada:{PASSWORD}@127.0.0.1:no-port/fleet",
    f"postgresql://ada:{PASSWORD}@[::1/fleet",
    f"postgresql://ada:x/{PASSWORD}@127.0.0.1:1/fleet",
    f"postgresql://ada@127.0.0.1:1/fleet?password={PASSWORD}",
    f"postgresql://ada:{PASSWORD}@127.0.0.1:1/fleet?no_such_option=1",
    f"mysql://ada:{PASSWORD}@127.0.0.1/fleet",
    f"sqlite://ada:{PASSWORD}@host/fleet",
]
COMMANDS = [["config"], ["config", "--json"], ["migrate", "--check"], ["doctor"], ["pods"]]


@pytest.mark.parametrize("store", STORES)
def test_no_command_prints_the_password_of_a_store(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLEET_Q_STORE", store)
    said = [_said(*command) for command in COMMANDS]
    (tmp_path / "fleetq.toml").write_text(f'store = "{store}"\nname = 3')
    monkeypatch.delenv("FLEET_Q_STORE")
    said.append(_said("config"))
    assert any("127.0.0.1" in text or "host" in text for text in said), "they speak of the store"
    assert [text for text in said if PASSWORD in text] == []


@pytest.mark.parametrize("store", STORES)
def test_no_pod_prints_it_either(store: str, pods: Pods) -> None:
    pod = pods.spawn("", store=store, log_level="DEBUG")
    assert pod.exit_status(BOUND) != 0
    log = pod.log_path.read_text()
    assert log.strip()
    assert PASSWORD not in log


def _said(*words: str) -> str:
    found = CliRunner().invoke(main, ["--call-timeout", "0.2", *words])
    return found.output + str(found.exception or "")


def test_no_log_and_no_error_holds_a_token_or_a_key(
    pods: Pods, keyring: Keyring, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, ca = authority.issue(), authority.certificate
    tokens = {role: keyring.add(f"the-{role}", role) for role in Role}
    wrong = "fq_wrong-" + os.urandom(8).hex()
    pod = pods.start(
        tls_certificate=pair.certificate, tls_key=pair.key, tokens=keyring.file, log_level="DEBUG"
    )
    said = _every_call(pod.address, ca, [*tokens.values(), wrong])
    for token in (*tokens.values(), wrong):
        monkeypatch.setenv("FLEET_Q_TOKEN", token)
        said += [
            _said("-a", pod.address, "--ca", str(ca), "stats"),
            _said("-a", pod.address, "stats"),
            _said("config"),
            _said("-a", pod.address, "--ca", str(ca), "--token-file", str(pair.key), "stats"),
        ]
    keyring.file.write_text(f"ops admin {wrong}\n")
    refused = [pods.spawn("", tokens=file) for file in (keyring.file, pair.key)]
    assert all(each.exit_status(BOUND) for each in refused)
    said += [each.log_path.read_text() for each in refused]
    said.append(pod.log_path.read_text())
    secrets = [*tokens.values(), wrong, *_lines_of(pair.key)]
    assert all(len(secret) > 8 for secret in secrets)
    assert "SubmitSteps" in said[-1], "the pod logs its calls"
    assert [text for text in said if any(secret in text for secret in secrets)] == []


def _every_call(address: str, ca: Path, tokens: list[str]) -> list[str]:
    """What all of them are told, by the wire and by the client."""
    told: list[str] = []
    with grpc.secure_channel(address, grpc.ssl_channel_credentials(ca.read_bytes())) as channel:
        for token in tokens:
            for method in RPCS:
                answer(channel, method, empty(method), bearer(token), told=told)
    for token in tokens:
        client = Client(address, tls=Tls(ca), token=token)
        with client:
            try:
                client.submit("note", [{}])
                client.stats()
            except FleetError as error:
                told += [str(error), repr(error)]
        told += [repr(client), repr(vars(client.aio))]
    return told


def _lines_of(key: Path) -> list[str]:
    return [line for line in key.read_text().splitlines() if not line.startswith("-")]


def test_what_is_shown_of_a_store_is_its_place() -> None:
    assert shown("store", STORES[0]) == "postgresql://ada:***@127.0.0.1:1/fleet"
    assert PASSWORD not in str([shown("store", store) for store in STORES])
    assert shown("store", "sqlite:////var/fleet.db") == "sqlite:////var/fleet.db"
    with pytest.raises(ConfigError) as caught:
        Client("127.0.0.1:1", token=f"{PASSWORD} {PASSWORD}")
    assert PASSWORD not in str(caught.value)
