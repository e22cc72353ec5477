"""PostgreSQL, an S3 server and an SSH server, as temporary processes on free ports of this machine."""

from __future__ import annotations

import getpass
import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

START_S = 60  # the time that a service may take to start on a busy machine
SERVICE_USER = "nobody"  # root starts the services as this user, because PostgreSQL does not run as root
BUCKET = "charloom"
# Each test process has a thousand ports, in a random order, because other tests may run on this machine.
FIRST_PORT = 20_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
PORTS = iter(random.sample(range(FIRST_PORT, FIRST_PORT + 1_000), 1_000))


def need(*programs_and_packages: str) -> None:
    """Skip the test if one of these programs or Python packages is not installed."""
    missing = [name for name in programs_and_packages if not program(name) and not find_spec(name)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def program(name: str) -> str | None:
    """The path of a program. Debian's initdb, postgres and sshd are not on the PATH of a user."""
    folders = [os.environ["PATH"], "/usr/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    return shutil.which(name, path=os.pathsep.join(folders))


def free_port() -> int:
    """A port that no process uses, and that no other test gets while the server on it is down.

    The system does not give such ports to other programs: Linux gives them those from 32768 on.
    """
    for port in PORTS:
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("all ports are in use")


@contextmanager
def postgres() -> Iterator[str]:
    """An empty database that asks for a password. Yields its address, which contains the password."""
    import psycopg

    port, password = free_port(), secrets.token_hex(16)
    address = f"postgresql://charloom:{password}@127.0.0.1:{port}/postgres"
    with service_folder() as folder:
        (folder / "password").write_text(password)
        _hand_over(folder / "password")
        access = ["--username", "charloom", "--auth", "scram-sha-256", "--pwfile", "password"]
        made = [*_command("initdb"), "--pgdata", "data", *access, "--no-locale", "--encoding", "UTF8", "--no-sync"]
        subprocess.run(made, cwd=folder, check=True, capture_output=True, **_as_user())
        listening = ["-h", "127.0.0.1", "-p", str(port), "-c", "unix_socket_directories=", "-c", "fsync=off"]
        with running([*_command("postgres"), "-D", "data", *listening], folder, **_as_user()):
            _wait(lambda: psycopg.connect(address).close(), psycopg.OperationalError, folder)
            yield address


@dataclass(frozen=True)
class S3:
    """A running S3 server, and the access to it."""

    address: str
    secret: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which boto3, MLflow and DVC find the server."""
        return {
            "AWS_ACCESS_KEY_ID": "charloom",
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": self.address,
        }

    def content(self) -> dict[str, bytes]:
        """All objects in the bucket, by name."""
        pages = self._client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        names = [each["Key"] for page in pages for each in page.get("Contents", [])]
        return {name: self._client().get_object(Bucket=BUCKET, Key=name)["Body"].read() for name in names}

    def make_bucket(self) -> None:
        self._client().create_bucket(Bucket=BUCKET)

    def _client(self) -> Any:  # boto3 makes its classes while it runs
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.address,
            aws_access_key_id="charloom",
            aws_secret_access_key=self.secret,
            region_name="us-east-1",
        )


@contextmanager
def s3() -> Iterator[S3]:
    """An S3 server with an empty bucket. It keeps the objects in memory."""
    port = free_port()
    server = S3(f"http://127.0.0.1:{port}", secrets.token_hex(16))
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with service_folder() as folder, running(command, folder):
        _wait(lambda: socket.create_connection(("127.0.0.1", port)).close(), OSError, folder)
        server.make_bucket()
        yield server


@dataclass(frozen=True)
class Sshd:
    """A running SSH server. A client whose home folder is `home` has a key that the server accepts."""

    address: str  # user@host:port
    folder: Path  # where the user may write
    home: Path


@contextmanager
def sshd() -> Iterator[Sshd]:
    """An SSH server that serves files by SFTP to one user with one key."""
    port = free_port()
    with service_folder() as folder:
        (folder / "home/.ssh").mkdir(parents=True)
        host_key, user_key = folder / "host_key", folder / "home/.ssh/id_ed25519"
        for key in (host_key, user_key):
            _hand_over(key.parent)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, **_as_user())
        options = {
            "AuthorizedKeysFile": user_key.with_suffix(".pub"),
            "HostKey": host_key,
            "ListenAddress": f"127.0.0.1:{port}",
            "PasswordAuthentication": "no",
            "PidFile": "none",
            "StrictModes": "no",  # the folder is in /tmp, where everybody may write
            "Subsystem": "sftp internal-sftp",
            "UsePAM": "yes",  # without PAM, sshd refuses an account that has no password
        }
        settings = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        with running([*_command("sshd"), "-D", "-e", "-f", "/dev/null", *settings], folder, **_as_user()):
            _wait(lambda: socket.create_connection(("127.0.0.1", port)).close(), OSError, folder)
            yield Sshd(f"{_user()}@127.0.0.1:{port}", folder, folder / "home")


@contextmanager
def service_folder() -> Iterator[Path]:
    """A temporary folder of the user of the services. pytest's own temporary folders are closed to this user."""
    with tempfile.TemporaryDirectory(prefix="charloom-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        _hand_over(Path(folder))
        yield Path(folder)


@contextmanager
def running(command: Sequence[str], folder: Path, **options: Any) -> Iterator[None]:
    """A process in a folder. Its output is in the file `log` there. `options` are those of subprocess."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, start_new_session=True, **options)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)  # PostgreSQL then ends without waiting for its clients
        process.wait()


def _wait(connect: Callable[[], None], refused: type[Exception], folder: Path) -> None:
    """Wait until `connect` succeeds."""
    until = time.monotonic() + START_S
    while True:
        try:
            return connect()
        except refused:
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.1)


def _command(name: str) -> list[str]:
    path = program(name)
    assert path
    return [path]


def _user() -> str:
    return SERVICE_USER if os.geteuid() == 0 else getpass.getuser()


def _as_user() -> dict[str, Any]:
    """The options with which subprocess starts a process as the user of the services."""
    if os.geteuid() != 0:
        return {}
    return {"user": SERVICE_USER, "group": pwd.getpwnam(SERVICE_USER).pw_gid, "extra_groups": []}


def _hand_over(path: Path) -> None:
    """Give a file or folder to the user of the services."""
    if os.geteuid() == 0:
        account = pwd.getpwnam(SERVICE_USER)
        os.chown(path, account.pw_uid, account.pw_gid)
