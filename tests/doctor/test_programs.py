"""Facts about git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from charloom.doctor.facts import Mark
from charloom.doctor.programs import check_git


def test_a_repository_that_git_refuses_has_its_reason_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, os.devnull)
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert "`git init`" in check_git().line  # it has no commit
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    fact = check_git()
    assert fact.mark is Mark.WARNING
    assert "dubious ownership" in fact.line
    assert f"git config --global --add safe.directory {tmp_path}" in fact.line
