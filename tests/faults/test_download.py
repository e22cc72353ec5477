"""Whatever a server or a disk does, a download gives the verified file, or one line of error and no file."""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.faults.disks import on_read_only_disk, on_small_disk
from tests.faults.servers import Answer, head, in_turn, reset, respond, send, serving
from tests.pipeline.workspace import clean_environment

CONTENT = b"".join(b'"3","Wall St. Bears","Short-sellers number %d"\n' % number for number in range(5000))
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
OTHER = CONTENT.replace(b"5", b"6")
LENGTH = f"Content-Length: {len(CONTENT)}"
HALF = CONTENT[: len(CONTENT) // 2]
HTML = b"<!doctype html><title>Log in</title>"
KILLS = 30

Done = subprocess.CompletedProcess[str]

FETCH = f"""
import sys
from pathlib import Path
from charloom.corpus import download
from charloom.errors import exit_with
download.PAUSE_S, download.MAX_BYTES = 0.01, 1 << 20
remote = download.RemoteFile("train.csv", sys.argv[1], "{MD5}")
def main():
    print(download.fetch(remote, Path("cache"), mirror=None, timeout_s=0.5).stat().st_size)
exit_with(main)
"""


def stall(*pieces: bytes) -> Answer:
    """An answer of these bytes. Then the server waits without closing the connection."""

    def answer(connection: socket.socket, number: int) -> None:
        send(*pieces)(connection, number)
        connection.settimeout(20)
        connection.recv(1)  # returns when the client closes the connection

    return answer


def endless(connection: socket.socket, _number: int) -> None:
    connection.sendall(head())
    while True:
        connection.sendall(CONTENT)


def slow(connection: socket.socket, _number: int) -> None:
    connection.sendall(head("200 OK", LENGTH))
    for begin in range(0, len(CONTENT), 1 << 14):
        connection.sendall(CONTENT[begin : begin + (1 << 14)])
        time.sleep(0.005)


@dataclass(frozen=True)
class Fault:
    """What a server does, how many requests it gets, and a part of the error ("" if the download succeeds)."""

    answer: Answer
    requests: int
    error: str = ""


GIVEN_UP = 3  # the number of requests before a download gives up
# The keys are the names of the test cases.
FAULTS: Mapping[str, Fault] = {
    "reset before the answer": Fault(reset(), GIVEN_UP, "Connection reset by peer"),
    "reset in the middle": Fault(reset(head("200 OK", LENGTH), HALF), GIVEN_UP, "Connection"),
    "stalled before the answer": Fault(stall(), GIVEN_UP, "timed out"),
    "stalled in the middle": Fault(stall(head("200 OK", LENGTH), HALF), GIVEN_UP, "timed out"),
    "truncated, with its length": Fault(send(head("200 OK", LENGTH), HALF), GIVEN_UP, "IncompleteRead"),
    "truncated, without": Fault(send(head(), HALF), GIVEN_UP, "does not match the published MD5"),
    "truncated in chunks": Fault(
        send(head("200 OK", "Transfer-Encoding: chunked"), b"%x\r\n" % len(CONTENT), HALF), GIVEN_UP, "Incomplete"
    ),
    "empty": Fault(respond(b""), GIVEN_UP, "does not match the published MD5"),
    "wrong bytes": Fault(respond(OTHER), GIVEN_UP, "does not match the published MD5"),
    "HTML": Fault(respond(HTML, "200 OK", "Content-Type: text/html"), GIVEN_UP, "does not match the published MD5"),
    "an endless answer": Fault(endless, GIVEN_UP, "sends more than 1048576 bytes"),
    "a gzip bomb": Fault(
        respond(gzip.compress(bytes(1 << 24)), "200 OK", "Content-Encoding: gzip"),
        GIVEN_UP,
        "sends more than 1048576 bytes",
    ),
    "damaged gzip": Fault(respond(CONTENT, "200 OK", "Content-Encoding: gzip"), GIVEN_UP, "header"),
    "another protocol than HTTP": Fault(send(b"SSH-2.0-OpenSSH_9.6\r\n"), GIVEN_UP, "SSH-2.0"),
    "a length that is not a number": Fault(send(head("200 OK", "Content-Length: many"), CONTENT), GIVEN_UP, "'many'"),
    "403": Fault(respond(HTML, "403 Forbidden"), 1, "403 Client Error"),
    "404": Fault(respond(HTML, "404 Not Found"), 1, "404 Client Error"),
    "500": Fault(respond(HTML, "500 Internal Server Error"), GIVEN_UP, "500 Server Error"),
    "a redirect to itself": Fault(respond(b"", "302 Found", "Location: /train.csv"), 31, "Exceeded 30 redirects"),
    "a redirect to a file": Fault(respond(b"", "302 Found", "Location: file:///etc/passwd"), GIVEN_UP, "file:///etc"),
    "429, come back tomorrow": Fault(
        respond(b"", "429 Too Many Requests", "Retry-After: 86400"), 1, "429 Client Error"
    ),
    "429 without a readable wait": Fault(
        in_turn(respond(b"", "429 Too Many Requests", "Retry-After: soon"), respond(CONTENT)), 2
    ),
    "500, then the file": Fault(
        in_turn(respond(b"", "500 Internal Server Error"), respond(b"", "503 Busy"), respond(CONTENT)), 3
    ),
    "reset, then the file": Fault(in_turn(reset(head("200 OK", LENGTH), HALF), respond(CONTENT)), 2),
    "changed between tries": Fault(in_turn(respond(OTHER), respond(CONTENT)), 2),
    "cut short, then another file, then the file": Fault(
        in_turn(send(head("200 OK", LENGTH), HALF), respond(OTHER), respond(CONTENT)), 3
    ),
    "gzip": Fault(respond(gzip.compress(CONTENT), "200 OK", "Content-Encoding: gzip"), 1),
}


def start_fetch(folder: Path, url: str, code: str = FETCH, wrap: Sequence[str] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*wrap, sys.executable, "-c", code, url],
        cwd=folder,
        env=clean_environment(PYTHONPATH=str(CHECKOUT / "src"), NO_PROXY="127.0.0.1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_fetch(folder: Path, url: str, code: str = FETCH, wrap: Sequence[str] = ()) -> Done:
    with start_fetch(folder, url, code, wrap) as process:
        out, err = process.communicate(timeout=60)
    return Done(process.args, process.returncode, out, err)


def files_in(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file() and path.suffix not in (".lock", ".pid"))


def error_line(done: Done) -> str:
    """The error of a failed run. Checks that it is the only line of output, and that the exit code is 1."""
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.parametrize("name", FAULTS)
def test_a_download_gives_the_whole_file_or_one_line_of_error(tmp_path: Path, name: str) -> None:
    fault = FAULTS[name]
    with serving(fault.answer) as (url, requests):
        done = run_fetch(tmp_path, f"{url}/train.csv")
    if fault.error:
        assert fault.error in error_line(done)
        assert files_in(tmp_path / "cache") == []
    else:
        assert (done.returncode, done.stdout, done.stderr) == (0, f"{len(CONTENT)}\n", "")
        assert (tmp_path / "cache" / MD5 / "train.csv").read_bytes() == CONTENT
        assert files_in(tmp_path / "cache") == ["train.csv"]
    assert len(requests) == fault.requests


def test_after_a_retry_after_header_the_client_waits_that_long(tmp_path: Path) -> None:
    times: list[float] = []  # when the requests arrived

    def busy_for_a_second(connection: socket.socket, number: int) -> None:
        times.append(time.monotonic())
        answer = respond(CONTENT) if number else respond(b"", "429 Too Many Requests", "Retry-After: 1")
        answer(connection, number)

    with serving(busy_for_a_second) as (url, _):
        assert run_fetch(tmp_path, f"{url}/train.csv").returncode == 0
    assert times[1] - times[0] >= 1


def test_the_password_of_a_mirror_is_not_printed(tmp_path: Path) -> None:
    with serving(respond(b"", "404 Not Found")) as (url, _):
        line = error_line(run_fetch(tmp_path, f"{url.replace('//', '//me:secret@')}/train.csv"))
    assert "secret" not in line
    assert f"{url}/train.csv: HTTPError: 404" in line


def test_the_error_names_a_full_disk_and_no_part_of_the_file_stays(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    listing = 'python=$1; "$@"; code=$?; find cache -type f ! -name "*.lock" ! -name "*.pid" >&2; exit $code'
    with serving(respond(CONTENT)) as (url, requests):
        wrap = on_small_disk(tmp_path / "cache", 64, ["sh", "-c", listing, "sh"])
        line = error_line(run_fetch(tmp_path, f"{url}/train.csv", wrap=wrap))
    assert "cannot use the cache folder cache: No space left on device" in line
    assert "CHARLOOM_CACHE" in line
    assert len(requests) == 1


def test_a_read_only_cache_is_an_error_only_if_it_lacks_the_file(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    with serving(respond(CONTENT)) as (url, requests):
        line = error_line(run_fetch(tmp_path, url, wrap=on_read_only_disk(cache, [])))
        assert "cannot use the cache folder cache: Read-only file system" in line
        assert "CHARLOOM_CACHE" in line
        assert requests == []
        assert run_fetch(tmp_path, url).returncode == 0
        done = run_fetch(tmp_path, url, wrap=on_read_only_disk(cache, []))
    assert (done.returncode, done.stdout) == (0, f"{len(CONTENT)}\n")
    assert len(requests) == 1


# Imports everything, then forks for each download, kills the fork at a random moment, and checks the cache.
KILLED_OFTEN = f"""
import os, random, signal, sys, time
from hashlib import md5
from pathlib import Path
import pooch, requests, tqdm
from charloom.corpus import download
remote = download.RemoteFile("train.csv", sys.argv[1], "{MD5}")
cache, moments = Path("cache"), random.Random(1)
final = cache / remote.md5 / remote.name
inside = 0
for _ in range({KILLS}):
    child = os.fork()
    if child == 0:
        download.fetch(remote, cache, mirror=None, timeout_s=20)
        os._exit(0)
    time.sleep(moments.uniform(0, 0.15))
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    inside += any((cache / "incoming").glob("*/*"))
    assert not final.exists() or md5(final.read_bytes()).hexdigest() == remote.md5
    if final.exists():
        final.unlink()
print(inside, "of {KILLS} kills while the cache had a part of the file")
assert download.fetch(remote, cache, mirror=None, timeout_s=20) == final
assert [p.name for p in cache.rglob("*") if p.is_file() and p.suffix not in (".lock", ".pid")] == ["train.csv"]
"""


def test_a_killed_download_never_leaves_a_part_under_the_final_name(tmp_path: Path) -> None:
    with serving(slow) as (url, _):
        done = run_fetch(tmp_path, f"{url}/train.csv", KILLED_OFTEN)
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) >= KILLS // 3
    assert (tmp_path / "cache" / MD5 / "train.csv").read_bytes() == CONTENT


def test_if_the_downloading_process_is_killed_another_one_takes_over(tmp_path: Path) -> None:
    asked = threading.Event()

    def stall_the_first(connection: socket.socket, number: int) -> None:
        asked.set()
        answer = respond(CONTENT) if number else stall(head("200 OK", LENGTH), HALF)
        answer(connection, number)

    with serving(stall_the_first) as (url, requests):
        patient = FETCH.replace("timeout_s=0.5", "timeout_s=20")
        processes = [start_fetch(tmp_path, f"{url}/train.csv", patient) for _ in range(8)]
        assert asked.wait(20)
        os.kill(int((tmp_path / "cache" / f"{MD5}.pid").read_text()), signal.SIGKILL)
        ends = [(*process.communicate(timeout=30), process.returncode) for process in processes]
    assert sorted(code for *_, code in ends) == [-signal.SIGKILL, *[0] * 7]
    assert [out.splitlines()[-1] for out, _, code in ends if code == 0] == [str(len(CONTENT))] * 7
    assert len(requests) == 2
