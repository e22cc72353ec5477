"""Several processes run at once: one waits or ends with a clear line, and the results are those of a single process."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from tests.faults.test_kill_pipeline import assert_same
from tests.pipeline.workspace import Workspace

SOAK = pytest.mark.skipif("CHARLOOM_SOAK" not in os.environ, reason="takes two minutes; `make soak` runs it")

Undisturbed = tuple[Workspace, float]


def test_a_second_repro_in_one_checkout_does_not_disturb_the_first(undisturbed: Undisturbed, tmp_path: Path) -> None:
    workspace = undisturbed[0].copy(tmp_path / "shared", results=False)
    processes = [workspace.start("dvc", "repro") for _ in range(2)]
    ends = [(process.communicate(timeout=120)[0], process.returncode) for process in processes]
    assert all("Traceback" not in output for output, _ in ends)
    refused = [output for output, code in ends if code != 0]
    assert len(refused) <= 1
    for output in refused:
        assert re.search(r"Unable to acquire lock|is busy, it is being blocked by", output)
    assert_same(workspace, undisturbed[0])


def test_of_two_equal_trainings_one_waits_and_takes_over_the_result(undisturbed: Undisturbed, tmp_path: Path) -> None:
    main = str(tmp_path / "main")  # in a temporary copy of the checkout, DVC sets DVC_ROOT to the main checkout
    copies = [undisturbed[0].copy(tmp_path / name, DVC_ROOT=main) for name in ("one", "other")]
    for copy in copies:
        (copy.folder / "dvc.lock").unlink()
        for path in (copy.folder / "models" / "charloom").iterdir():
            path.unlink()
    processes = [copy.start_script("train") for copy in copies]
    ends = [(process.communicate(timeout=120)[0], process.returncode, process.pid) for process in processes]
    assert [code for _, code, _ in ends] == [0, 0], ends
    waited = [output for output, *_ in ends if "waiting for process" in output]
    assert len(waited) == 1
    assert (
        f"waiting for process {next(pid for output, _, pid in ends if output not in waited)}: it is using" in waited[0]
    )
    assert "step" not in waited[0], "it took the finished training of the other process"
    for copy in copies:
        assert copy.digests("train") == undisturbed[0].digests("train")


@SOAK
def test_four_workers_of_the_queue_give_the_results_of_one(undisturbed: Undisturbed, tmp_path: Path) -> None:
    seeds = range(11, 15)
    alone = undisturbed[0].copy(tmp_path / "alone")
    expected = {}
    for seed in seeds:
        alone.set({"train.seed": seed})
        alone.repro()
        expected[f"seed-{seed}"] = alone.recorded()

    queue = undisturbed[0].copy(tmp_path / "queue")
    queue.begin_git()
    (queue.folder / ".gitignore").write_text(
        "/data/\n/models/\n/metrics/\n/plots/\n/reports/\n/.charloom/\n/src/*.egg-info/\n"
    )
    identity = ("-c", "user.name=soak", "-c", "user.email=soak@localhost")
    for command in (
        ("git", "add", "--all"),
        ("git", *identity, "commit", "--quiet", "-m", "the tiny pipeline"),
        *(("dvc", "exp", "run", "--queue", "-n", f"seed-{seed}", "-S", f"train.seed={seed}") for seed in seeds),
    ):
        ended = queue.run(*command)
        assert ended.code == 0, ended.output
    status = queue.run_queue(jobs=4)
    assert len(re.findall(r"Success", status)) == len(seeds), status
    for name, recorded in expected.items():
        commit = next(
            line.split()[0]
            for line in queue.run("git", "for-each-ref", "refs/exps").output.splitlines()
            if line.endswith(f"/{name}")
        )
        lock = yaml.safe_load(queue.run("git", "show", f"{commit}:dvc.lock").output)
        assert {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]} == recorded
    print(f"{len(seeds)} experiments by four workers, each with the same bytes as alone")
