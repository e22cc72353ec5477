"""Character-level language models as a reproducible, cached, tracked pipeline."""

import os

# How long an OpenMP thread spins before it sleeps, read when torch is loaded. GNU's default is far longer and costs
# 3.6 times the training time where another process is busy on one of two cores; this costs little where none is
# (benchmarks/busy.py, BENCHMARKS.md).
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "500")
