"""Fetch the corpus: verified copies of train.csv and test.csv, and source.json that says where they came from."""

import os
from pathlib import Path

from charloom.files import main_checkout, write_json
from charloom.params import Params
from charloom.sources import obtain
from charloom.stage import run_stage


def download(params: Params) -> None:
    counts = obtain(
        params.data.source,
        Path("data/raw"),
        root=main_checkout(),
        mirror=os.environ.get("CHARLOOM_MIRROR") or params.data.mirror,
        timeout_s=params.data.timeout,
    )
    write_json(Path("metrics/download.json"), counts)


if __name__ == "__main__":
    run_stage("download", download)
