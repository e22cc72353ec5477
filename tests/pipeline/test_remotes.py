"""DVC's remotes on another machine: a real SSH server and a real S3 server, with the commands of the README."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pipeline.workspace import CHECKOUT, Ended, Workspace
from tests.services import BUCKET, need, s3, sshd

REMOTE = "ssh://USER@HOST/FOLDER"  # the address in the README
Remote = tuple[str, dict[str, str]]  # an address, and the variables with which DVC may use it


@pytest.fixture(params=["ssh", "s3"])
def remote(request: pytest.FixtureRequest) -> Iterator[Remote]:
    """An empty remote."""
    if request.param == "ssh":
        need("sshd", "ssh-keygen", "dvc_ssh")
        with sshd() as server:
            yield f"ssh://{server.address}{server.folder}/remote", {"HOME": str(server.home)}
    else:
        need("moto", "dvc_s3")
        with s3() as storage:
            yield f"s3://{BUCKET}/remote", storage.environment


def readme_line(beginning: str, address: str) -> list[str]:
    """The command in the README with this beginning, as words. Its remote gets this address."""
    (line,) = re.findall(rf"^ *({beginning}\b.*?) *(?:#.*)?$", (CHECKOUT / "README.md").read_text(), re.MULTILINE)
    return str(line).replace(REMOTE, address).split()


def execute(workspace: Workspace, beginning: str, address: str) -> Ended:
    ended = workspace.run(*readme_line(beginning, address))
    assert "Traceback" not in ended.output
    assert not [value for name, value in workspace.variables.items() if "SECRET" in name and value in ended.output]
    return ended


def add_remote(workspace: Workspace, remote: Remote) -> Workspace:
    """The workspace with the remote in its configuration."""
    address, variables = remote
    added = execute(workspace, "dvc remote add", address)
    assert added.code == 0, added.output
    assert address in (workspace.folder / ".dvc/config").read_text()
    return replace(workspace, variables=variables)


def test_results_are_pushed_on_one_machine_and_pulled_on_another(
    finished: Workspace, remote: Remote, tmp_path: Path
) -> None:
    box = add_remote(finished.copy(tmp_path / "box"), remote)
    pushed = execute(box, "dvc push", remote[0])
    assert pushed.code == 0, pushed.output

    mine = add_remote(finished.copy(tmp_path / "mine", results=False), remote)
    shutil.copyfile(box.folder / "dvc.lock", mine.folder / "dvc.lock")
    pulled = execute(mine, "dvc pull", remote[0])
    assert pulled.code == 0, pulled.output
    for stage in ("train", "evaluate"):
        assert mine.digests(stage) == finished.digests(stage)
