"""Show the runs in MLflow's pages at http://127.0.0.1:5000, for `make ui`: `python scripts/ui.py`, in the checkout.

The environment variable PORT sets another port.
"""

from __future__ import annotations

import os
import sys

from charloom.errors import exit_with, say
from charloom.tracking.address import store_address
from charloom.tracking.relocation import follow


def main() -> None:
    uri, database = store_address()
    if uri.startswith("http"):
        say(f"MLFLOW_TRACKING_URI names a server: open {uri}")
        return
    if database and database.exists():
        follow(database)
    # By default MLflow's server starts seven job processes, which evaluate large language models. charloom needs none
    # of them.
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    place = ["--host", "127.0.0.1", "--port", os.environ.get("PORT") or "5000"]
    command = [sys.executable, "-m", "mlflow", "ui", *place, "--workers", "1", "--backend-store-uri", uri]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    exit_with(main)
