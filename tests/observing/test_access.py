"""Who may see metrics is decided as for the pod's gRPC port."""

import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from fleetq_server.config import Settings
from fleetq_server.errors import ConfigError
from fleetq_server.rpc.security.tokens import Role, file_line, new_token
from tests.cluster.fleet import Pods, until
from tests.observing.conftest import ask, metrics_of
from tests.security.pki import Authority

ANYWHERE = "127.0.0.1:0"


def new(file: Path, name: str, role: Role) -> str:
    """A token that counts."""
    made = new_token()
    with file.open("a") as lines:
        lines.write(f"{file_line(name, [role], made)}\n")
    return made


def test_a_pod_with_tokens_shows_metrics_to_admins_and_probes_to_all(
    pods: Pods, tmp_path: Path
) -> None:
    file = tmp_path / "tokens"
    admin, worker = new(file, "ops", Role.ADMIN), new(file, "video", Role.WORK)
    address = metrics_of(pods.start(metrics=ANYWHERE, tokens=file))
    assert ask(address, "/metrics").status == HTTPStatus.UNAUTHORIZED
    assert ask(address, "/metrics", token="x").status == HTTPStatus.UNAUTHORIZED
    assert ask(address, "/metrics", token=worker).status == HTTPStatus.FORBIDDEN
    answer = ask(address, "/metrics", token=admin)
    assert (answer.status, "fleetq_store_up 1.0" in answer.text) == (HTTPStatus.OK, True)
    assert ask(address, "/readyz").status == HTTPStatus.OK


def test_a_pod_with_tls_serves_metrics_by_tls_with_renewed_certificates(
    pods: Pods, tmp_path: Path
) -> None:
    old, later = Authority(tmp_path, "old"), Authority(tmp_path, "later")
    pair = old.issue()
    pod = pods.start("", metrics=ANYWHERE, tls_certificate=pair.certificate, tls_key=pair.key)
    address = metrics_of(pod)
    trust_old = ssl.create_default_context(cafile=str(old.certificate))
    trust_later = ssl.create_default_context(cafile=str(later.certificate))
    assert ask(address, "/healthz", tls=trust_old).text == "ok\n"
    with pytest.raises(ConnectionError):
        ask(address, "/healthz")
    with pytest.raises(ssl.SSLCertVerificationError):
        ask(address, "/healthz", tls=trust_later)
    pair.replace_by(later.issue())

    def renewed() -> bool:
        try:
            return ask(address, "/healthz", tls=trust_later).text == "ok\n"
        except ssl.SSLCertVerificationError:
            return False

    until(renewed, "the renewed certificate is shown")


def test_mutual_tls_holds_for_metrics_too(pods: Pods, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    pair, mine = authority.issue(), authority.issue("prometheus")
    pod = pods.start(
        "",
        metrics=ANYWHERE,
        tls_certificate=pair.certificate,
        tls_key=pair.key,
        tls_client_ca=authority.certificate,
    )
    stranger = ssl.create_default_context(cafile=str(authority.certificate))
    known = ssl.create_default_context(cafile=str(authority.certificate))
    known.load_cert_chain(mine.certificate, mine.key)
    assert ask(metrics_of(pod), "/metrics", tls=known).status == HTTPStatus.OK
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(metrics_of(pod), "/metrics", tls=stranger)


def test_other_hosts_are_served_only_with_tls_and_credentials() -> None:
    with pytest.raises(ConfigError, match=r"metrics=0\.0\.0\.0:9464 is open to other hosts"):
        Settings(metrics="0.0.0.0:9464")
    tls: dict[str, Any] = {"tls_certificate": "a.pem", "tls_key": "b.pem"}
    with pytest.raises(ConfigError, match=r"metrics=.*anybody .* could read"):
        Settings(metrics="0.0.0.0:9464", **tls)
    assert Settings(metrics="0.0.0.0:9464", tokens="tokens", **tls).metrics
    assert Settings(metrics="0.0.0.0:9464", allow_insecure=True).metrics


def test_an_address_is_one() -> None:
    with pytest.raises(ValueError, match="must be HOST:PORT"):
        Settings(metrics="9464")
