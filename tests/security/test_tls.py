"""TLS and mutual TLS, between real pods and real clients."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from fleetq_server.cli.main import main
from fleetq_server.client import AsyncClient, Client, Tls
from fleetq_server.config import Settings
from fleetq_server.core.context import Context
from fleetq_server.errors import ConfigError, NoPodReachable
from fleetq_server.exposure import exposure
from fleetq_server.rpc.security.certificates import Certificates
from fleetq_server.rpc.security.tokens import Role
from tests.cluster.fleet import Pod, Pods, until
from tests.security.conftest import Keyring
from tests.security.pki import Authority, Pair

BOUND = 60.0
BRIEF = 0.5  # for calls that are to fail: they are repeated that long
OTHERS = "0.0.0.0:0"


def start(pods: Pods, pair: Pair, **settings: object) -> Pod:
    return pods.start("", tls_certificate=pair.certificate, tls_key=pair.key, **settings)


def answers(pod: Pod, tls: Tls | None) -> bool:
    with Client(pod.address, tls=tls, timeout=BOUND) as client:
        return bool(client.pods())


def refused(pod: Pod, tls: Tls | None) -> bool:
    with Client(pod.address, tls=tls, timeout=BOUND, patience=BRIEF) as client:
        try:
            client.pods()
        except NoPodReachable:
            return True
        return False


def test_only_who_trusts_the_authority_and_talks_tls_is_answered(
    pods: Pods, authority: Authority, tmp_path: Path
) -> None:
    pod = start(pods, authority.issue())
    assert answers(pod, Tls(authority.certificate))
    assert refused(pod, None)
    assert refused(pod, Tls(Authority(tmp_path, "stranger").certificate))


def test_a_pod_with_another_name_is_not_talked_to_unless_that_is_expected(
    pods: Pods, authority: Authority
) -> None:
    pod = start(pods, authority.issue("pod.example"))
    assert refused(pod, Tls(authority.certificate))
    assert answers(pod, Tls(authority.certificate, server_name="pod.example"))


def test_mutual_tls_lets_in_only_whom_the_authority_signed(
    pods: Pods, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    pod = start(pods, authority.issue(), tls_client_ca=authority.certificate)

    def tls(pair: Pair) -> Tls:
        return Tls(authority.certificate, pair.certificate, pair.key)

    assert answers(pod, tls(authority.issue("client")))
    assert refused(pod, Tls(authority.certificate))
    assert refused(pod, tls(stranger.issue("client")))


def test_several_pods_with_certificates_of_their_own_are_one_fleet(
    pods: Pods, authority: Authority
) -> None:
    both = [start(pods, authority.issue()) for _ in range(2)]
    client = pods.client(*both, tls=Tls(authority.certificate), timeout=BOUND)
    both[0].kill()
    assert client.pods()
    both[1].kill()
    start(pods, authority.issue(), listen=both[0].address)
    assert client.pods()


def test_renewed_certificates_count_for_new_connections_and_old_ones_go_on(
    pods: Pods, authority: Authority, tmp_path: Path
) -> None:
    new_authority = Authority(tmp_path, "renewed")
    pair = authority.issue()
    pod = start(pods, pair)
    client = pods.client(pod, tls=Tls(authority.certificate), timeout=BOUND)
    client.leader()
    pair.replace_by(new_authority.issue())
    until(lambda: not refused(pod, Tls(new_authority.certificate)), "the new one is served", BOUND)
    assert refused(pod, Tls(authority.certificate))
    client.leader()


def test_a_renewal_that_went_wrong_changes_nothing_and_is_told(
    pods: Pods, authority: Authority
) -> None:
    pair = authority.issue()
    pod = start(pods, pair)
    pair.key.write_bytes(authority.issue().key.read_bytes())
    until(
        lambda: answers(pod, Tls(authority.certificate)) and pod.said("kept what was read before"),
        "the mistake is told",
        BOUND,
    )
    assert "tls_key" in pod.said("kept what was read before")[0]["cause"]
    assert answers(pod, Tls(authority.certificate))


def test_other_hosts_are_served_with_tls_and_credentials(
    pods: Pods, authority: Authority, keyring: Keyring
) -> None:
    token = keyring.add("ops", Role.ADMIN)
    pair = authority.issue()
    pod = start(pods, pair, listen=OTHERS, tokens=keyring.file)
    address = pod.address.replace("0.0.0.0", "127.0.0.1")
    with Client(address, tls=Tls(authority.certificate), token=token) as client:
        assert client.leader()


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("credentials", [False, True])
def test_other_hosts_are_refused_without_both(tls: bool, credentials: bool) -> None:
    refusal = exposure(OTHERS, tls=tls, credentials=credentials)
    assert (refusal == "") == (tls and credentials)
    assert not exposure("[::1]:1", tls=tls, credentials=credentials)


async def test_a_worker_runs_steps_over_mutual_tls_with_a_token_of_its_own(
    pods: Pods, authority: Authority, keyring: Keyring
) -> None:
    web, video = keyring.add("web", Role.SUBMIT), keyring.add("video", Role.WORK)
    secure = {"tls_client_ca": authority.certificate, "tokens": keyring.file}
    both = [start(pods, authority.issue(), **secure) for _ in range(2)]
    mine = authority.issue("client")
    tls = Tls(authority.certificate, mine.certificate, mine.key)
    addresses = [pod.address for pod in both]

    async def double(context: Context) -> object:
        return 2 * context.json()

    async with (
        AsyncClient(addresses, tls=tls, token=web, timeout=BOUND) as submitter,
        AsyncClient(addresses, tls=tls, token=video, timeout=BOUND) as client,
    ):
        worker = client.worker({"double": double})
        running = asyncio.create_task(worker.run())
        steps = await submitter.submit("double", list(range(20)))
        done = await submitter.wait(steps, timeout=BOUND)
        assert [done[step].value for step in steps] == [2 * n for n in range(20)]
        worker.drain()
        await asyncio.wait_for(running, BOUND)
    assert {event.holder for event in pods.events("completed")} == {f"video:{worker.holder_id}"}


def test_settings_say_which_half_is_missing() -> None:
    cases: list[tuple[dict[str, str], str]] = [
        ({"tls_certificate": "c"}, "tls_certificate='c' needs tls_key"),
        ({"tls_key": "k"}, "tls_key='k' needs tls_certificate"),
        ({"tls_client_ca": "a"}, "tls_client_ca='a' needs tls_certificate"),
        ({"listen": OTHERS, "tokens": "t"}, "tokens would travel in the clear"),
        ({"listen": OTHERS, "tls_certificate": "c", "tls_key": "k"}, "anybody who reaches it"),
    ]
    for values, problem in cases:
        with pytest.raises(ConfigError, match=problem):
            Settings.model_validate(values)
    Settings(listen=OTHERS, tls_certificate="c", tls_key="k", tls_client_ca="a")
    Settings(listen=OTHERS, tls_certificate="c", tls_key="k", tokens="t")
    Settings(listen=OTHERS, allow_insecure=True)


def test_files_that_do_not_fit_are_refused_at_the_start(
    authority: Authority, tmp_path: Path
) -> None:
    one, other = authority.issue(), authority.issue()
    with pytest.raises(ConfigError, match=r"tls_key=.* without a passphrase"):
        Certificates(one.certificate, other.key)
    with pytest.raises(ConfigError, match=f"file {tmp_path}/none: No such file"):
        Certificates(tmp_path / "none", one.key)
    with pytest.raises(ConfigError, match=r"tls_client_ca=.* no certificate"):
        Certificates(one.certificate, one.key, one.key)


def test_the_command_line_talks_tls(
    pods: Pods, authority: Authority, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = keyring.file.with_name("shown")
    shown.write_text(keyring.add("ops", Role.ADMIN))
    mine = authority.issue("client")
    ca = str(authority.certificate)
    pod = start(pods, authority.issue(), tls_client_ca=ca, tokens=keyring.file)

    def fleetq(*arguments: object) -> int:
        words = ["-a", pod.address, *map(str, arguments), "leader"]
        return CliRunner().invoke(main, words).exit_code

    flags = ("--ca", ca, "--certificate", mine.certificate, "--key", mine.key)
    assert fleetq(*flags, "--token-file", shown) == 0
    assert fleetq(*flags) == 2
    assert fleetq("--ca", ca, "--certificate", mine.certificate) == 2
    for name, value in (("CA", ca), ("CERTIFICATE", mine.certificate), ("KEY", mine.key)):
        monkeypatch.setenv(f"FLEET_Q_{name}", str(value))
    monkeypatch.setenv("FLEET_Q_TOKEN", shown.read_text())
    assert fleetq() == 0
    watch = ["monitor", "--address", pod.address, "--duration", "0.1", "--json"]
    seen = CliRunner().invoke(main, watch)
    assert [one["pid"] for one in json.loads(seen.stdout.splitlines()[-1])["pods"]] == [pod.pid]
