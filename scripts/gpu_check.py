"""Check and measure charloom on the GPU of this machine: `make gpu-check`. It needs no network.

It runs the tests that need a GPU, then benchmarks/gpu.py, whose output is Markdown for BENCHMARKS.md. It needs Python
and a few packages, which need not be charloom's own install. `--device cpu` rehearses it on a CPU.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
# The packages that the tests and the benchmark import, by the names of their modules
PACKAGES = {
    "torch": "torch",
    "numpy": "numpy",
    "scipy": "scipy",
    "safetensors": "safetensors",
    "pydantic": "pydantic pydantic-core annotated-types typing-inspection typing-extensions",
    "yaml": "pyyaml",
    "portalocker": "portalocker",
    "pytest": "pytest pluggy iniconfig packaging pygments",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    device = parser.parse_args().device
    if missing := [packages for module, packages in PACKAGES.items() if find_spec(module) is None]:
        names = " ".join(missing)
        print(
            f"error: {sys.executable} lacks {names}; where there is a network, run `pip download --no-deps"
            f" --constraint constraints.txt --dest wheels {names}`; bring the folder here, and run `pip install"
            " --no-index --no-deps wheels/*.whl`",
            file=sys.stderr,
        )
        return 2
    folders = ("src", ".", "benchmarks", os.environ.get("PYTHONPATH", ""))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, folders)), "PYTHONUNBUFFERED": "1"}
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_gpu.py"]
    benchmark = [sys.executable, "benchmarks/gpu.py", "--device", device]
    failed = [subprocess.run(command, cwd=CHECKOUT, env=environment).returncode for command in (tests, benchmark)]
    return int(any(failed))


if __name__ == "__main__":
    sys.exit(main())
