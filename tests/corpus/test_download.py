from __future__ import annotations

import errno
import hashlib
import re
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from charloom.corpus import download
from charloom.corpus.download import RemoteFile, cache_folder, fetch
from charloom.errors import RunError
from tests.conftest import Start, line_of

CONTENT = b'"3","Wall St. Bears","Short-sellers"\n' * 5000
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()

FETCH = f"""
import sys
from pathlib import Path
from charloom.corpus.download import RemoteFile, fetch
print("ready")
remote = RemoteFile("train.csv", sys.argv[1], "{MD5}")
print(fetch(remote, Path("cache"), mirror=None, timeout_s=20).stat().st_size)
"""


@pytest.fixture(autouse=True)
def no_proxy_and_no_second_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "ATTEMPTS", 1)


@pytest.fixture
def server(httpserver_ipv4: HTTPServer) -> HTTPServer:
    return httpserver_ipv4


@pytest.fixture
def remote(server: HTTPServer) -> RemoteFile:
    return RemoteFile("train.csv", server.url_for("/train.csv"), MD5)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def files_in(cache: Path) -> list[Path]:
    """The files in the cache, except lock files."""
    return sorted(path for path in cache.rglob("*") if path.is_file() and path.suffix not in (".lock", ".pid"))


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def failure_of(remote: RemoteFile, cache: Path, *, mirror: str | None = None, timeout_s: float = 5) -> str:
    """The message of a fetch that fails. Asserts that the cache stays empty."""
    with pytest.raises(RunError) as caught:
        fetch(remote, cache, mirror=mirror, timeout_s=timeout_s)
    assert files_in(cache) == []
    assert list((cache / "incoming").glob("*")) == []
    return str(caught.value)


def test_a_file_is_downloaded_once_and_then_read_from_the_cache(
    server: HTTPServer, remote: RemoteFile, cache: Path
) -> None:
    server.expect_oneshot_request("/train.csv").respond_with_data(CONTENT)
    path = fetch(remote, cache, mirror=None, timeout_s=5)
    assert path.read_bytes() == CONTENT
    assert path.name == "train.csv"
    assert files_in(cache) == [path]
    assert fetch(remote, cache, mirror=None, timeout_s=5) == path
    assert len(server.log) == 1


def test_a_filled_cache_needs_no_network(cache: Path) -> None:
    unreachable = RemoteFile("train.csv", f"http://127.0.0.1:{closed_port()}/train.csv", MD5)
    (cache / MD5).mkdir(parents=True)
    (cache / MD5 / "train.csv").write_bytes(CONTENT)
    assert fetch(unreachable, cache, mirror=None, timeout_s=1).read_bytes() == CONTENT


def test_a_damaged_file_in_the_cache_is_downloaded_again(server: HTTPServer, remote: RemoteFile, cache: Path) -> None:
    server.expect_request("/train.csv").respond_with_data(CONTENT)
    path = fetch(remote, cache, mirror=None, timeout_s=5)
    path.write_bytes(CONTENT[:-1] + b"x")
    assert fetch(remote, cache, mirror=None, timeout_s=5).read_bytes() == CONTENT


def test_content_with_a_wrong_hash_is_rejected(server: HTTPServer, remote: RemoteFile, cache: Path) -> None:
    server.expect_request("/train.csv").respond_with_data(b"<html>not found</html>")
    message = failure_of(remote, cache)
    assert message.startswith(f"cannot get train.csv. Tried {remote.url}: the content does not match the published MD5")
    assert "Set data.mirror in params.yaml (or CHARLOOM_MIRROR)" in message
    assert "`make demo`" in message


def test_a_missing_file_is_reported_with_the_status(server: HTTPServer, remote: RemoteFile, cache: Path) -> None:
    server.expect_request("/train.csv").respond_with_data(b"", status=404)
    assert f"{remote.url}: HTTPError: 404 Client Error" in failure_of(remote, cache)


def test_after_a_server_error_the_download_is_tried_again(
    server: HTTPServer, remote: RemoteFile, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ATTEMPTS", 3)
    for _ in range(2):
        server.expect_ordered_request("/train.csv").respond_with_data(b"", status=500)
    server.expect_ordered_request("/train.csv").respond_with_data(CONTENT)
    assert fetch(remote, cache, mirror=None, timeout_s=5).read_bytes() == CONTENT
    assert len(server.log) == 3


def test_a_refused_connection_is_reported_in_plain_words(cache: Path) -> None:
    address = f"http://127.0.0.1:{closed_port()}/train.csv"
    message = failure_of(RemoteFile("train.csv", address, MD5), cache)
    assert f"Tried {address}: ConnectionError: Connection refused. Set" in message


@pytest.mark.parametrize("address", ["http://", "http://[/train.csv", "file:///etc/passwd", "http://*./train.csv"])
def test_an_invalid_address_is_reported(cache: Path, address: str) -> None:
    message = failure_of(RemoteFile("train.csv", address, MD5), cache)
    assert f"Tried {address}: " in message
    assert "MD5" not in message


def test_an_invalid_mirror_folder_is_reported(server: HTTPServer, remote: RemoteFile, cache: Path) -> None:
    server.expect_request("/train.csv").respond_with_data(b"", status=404)
    assert re.search(r"Tried a\x00b/train.csv: .*embedded null", failure_of(remote, cache, mirror="a\0b"))


def test_a_truncated_response_is_rejected(server: HTTPServer, remote: RemoteFile, cache: Path) -> None:
    def cut_short(_request: Request) -> Response:
        response = Response(CONTENT[:1000])
        response.headers["Content-Length"] = str(len(CONTENT))
        return response

    server.expect_request("/train.csv").respond_with_handler(cut_short)
    assert f"Tried {remote.url}: " in failure_of(remote, cache)


def test_a_server_that_sends_nothing_is_given_up_after_the_timeout(cache: Path) -> None:
    given_up = threading.Event()

    def stall(_request: Request) -> Response:
        assert given_up.wait(timeout=20)
        return Response(CONTENT)

    # A server of this test alone, because it still waits when the fetch has failed.
    with HTTPServer(host="127.0.0.1", port=0) as silent:
        silent.expect_request("/train.csv").respond_with_handler(stall)
        remote = RemoteFile("train.csv", silent.url_for("/train.csv"), MD5)
        message = failure_of(remote, cache, timeout_s=0.2)
        given_up.set()
    assert f"{remote.url}: ReadTimeout: " in message


def test_a_mirror_folder_is_tried_first(server: HTTPServer, remote: RemoteFile, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(CONTENT)
    path = fetch(remote, cache, mirror=str(tmp_path), timeout_s=5)
    assert path.read_bytes() == CONTENT
    assert path.parent != tmp_path
    assert server.log == []


def test_after_an_unreadable_mirror_folder_the_official_address_is_used(
    server: HTTPServer, remote: RemoteFile, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(source: str, _target: object, _pooch: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", source)

    monkeypatch.setattr(download, "_copy", forbid)  # a file that even root may not read is hard to make
    server.expect_request("/train.csv").respond_with_data(CONTENT)
    assert fetch(remote, cache, mirror="/mirror", timeout_s=5).read_bytes() == CONTENT


def test_a_mirror_url_is_tried_first(server: HTTPServer, remote: RemoteFile, cache: Path) -> None:
    server.expect_oneshot_request("/mirror/train.csv").respond_with_data(CONTENT)
    assert fetch(remote, cache, mirror=server.url_for("/mirror/"), timeout_s=5).read_bytes() == CONTENT
    assert [request.path for request, _ in server.log] == ["/mirror/train.csv"]


def test_after_a_mirror_with_wrong_content_the_official_address_is_used(
    server: HTTPServer, remote: RemoteFile, cache: Path
) -> None:
    server.expect_request("/mirror/train.csv").respond_with_data(CONTENT[::-1])
    server.expect_request("/train.csv").respond_with_data(CONTENT)
    assert fetch(remote, cache, mirror=server.url_for("/mirror"), timeout_s=5).read_bytes() == CONTENT


def test_if_all_addresses_fail_each_is_reported_with_its_reason(
    server: HTTPServer, remote: RemoteFile, cache: Path, tmp_path: Path
) -> None:
    server.expect_request("/train.csv").respond_with_data(b"", status=404)
    mirror = tmp_path / "mirror"
    message = failure_of(remote, cache, mirror=str(mirror))
    assert f"Tried {mirror}/train.csv: FileNotFoundError: No such file or directory; {remote.url}: HTTPError" in message


def test_a_killed_download_leaves_no_file_and_the_next_one_works(
    server: HTTPServer, remote: RemoteFile, cache: Path, start_python: Start
) -> None:
    asked, killed = threading.Event(), threading.Event()

    def stall(_request: Request) -> Response:
        asked.set()
        assert killed.wait(timeout=20)
        return Response(b"")

    server.expect_ordered_request("/train.csv").respond_with_handler(stall)
    server.expect_ordered_request("/train.csv").respond_with_data(CONTENT)
    process = start_python(FETCH, remote.url)
    assert asked.wait(timeout=20)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    assert not (cache / MD5).exists()
    killed.set()
    path = fetch(remote, cache, mirror=None, timeout_s=5)
    assert files_in(cache) == [path]


def test_only_one_of_eight_processes_downloads(server: HTTPServer, remote: RemoteFile, start_python: Start) -> None:
    all_ready = threading.Event()

    def wait_for_all(_request: Request) -> Response:
        assert all_ready.wait(timeout=30)
        return Response(CONTENT)

    server.expect_request("/train.csv").respond_with_handler(wait_for_all)
    processes = [start_python(FETCH, remote.url) for _ in range(8)]
    assert [line_of(process.stdout) for process in processes] == ["ready\n"] * 8
    all_ready.set()
    last_lines = [process.communicate(timeout=30)[0].splitlines()[-1] for process in processes]
    assert last_lines == [str(len(CONTENT))] * 8
    assert len(server.log) == 1


def test_the_cache_folder_comes_from_environment_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARLOOM_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CHARLOOM_CACHE", "~/mine")
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("CHARLOOM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    if sys.platform == "linux":
        assert cache_folder() == tmp_path / "xdg" / "charloom"


@pytest.mark.parametrize("cache", ["/etc/passwd", "/proc/nohome/.cache/charloom", "/dev/null/cache"])
def test_a_cache_folder_that_cannot_be_made_is_named_together_with_its_variable(remote: RemoteFile, cache: str) -> None:
    message = failure_of(remote, Path(cache), mirror=None)
    assert message.startswith(f"cannot use the cache folder {cache}: ")
    assert message.endswith("; correct this, or set CHARLOOM_CACHE to another folder")
