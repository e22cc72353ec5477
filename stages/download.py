"""Get the corpus and check each article. Writes train.csv, test.csv and source.json, which states their origin."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # the code of this project, not of an installed copy

from charloom.corpus.sources import obtain
from charloom.errors import say
from charloom.files import main_checkout, write_json
from charloom.params import Params
from charloom.stage import run_stage


def download(params: Params) -> None:
    counts = obtain(
        params,
        Path("data/raw"),
        root=main_checkout(),
        mirror=os.environ.get("CHARLOOM_MIRROR") or params.data.mirror,
    )
    write_json(Path("details/download.json"), counts)
    if counts["duplicates"]:
        fate = "dropped" if params.data.deduplicate else "kept (data.deduplicate: true drops them)"
        say(
            f"{counts['duplicates']} training article(s) have the same text as {counts['test_duplicates']} test"
            f" article(s): {fate}"
        )
    if counts["empty"]:
        say(f"{counts['empty']} empty text(s) were skipped")


if __name__ == "__main__":
    run_stage("download", download)
