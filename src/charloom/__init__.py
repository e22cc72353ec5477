"""Character-level language models as a reproducible, cached, tracked pipeline.

The names in `__all__` are the public interface for Python. A name is imported when it is first used, so that
`import charloom` loads neither torch nor MLflow.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# How many times an idle OpenMP thread spins before it sleeps. The OpenMP library reads the number once, when torch is
# loaded. GNU's default is 300,000. A smaller number helps if another process keeps a core busy, and costs time on a
# quiet machine. At 256 units on a virtual machine, training with 2,000 was 7 % slower than with the default on a quiet
# machine and 3 % faster on a busy one. With 500 it was 36 % slower and 46 % faster (benchmarks/busy.py, BENCHMARKS.md).
# charloom does not overrule a user who sets OMP_WAIT_POLICY.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")

if TYPE_CHECKING:
    from charloom.errors import CharloomError, InputError, RunError
    from charloom.model.sampling import Sampling, sample, stream
    from charloom.model.saved import SavedModel, load_model
    from charloom.model.scoring import Cost, Surprisal, score_articles, surprisals
    from charloom.params import Params
    from charloom.params_file import load_params
    from charloom.text.split import EncodedSplit
    from charloom.text.texts import framed
    from charloom.text.vocab import Vocabulary


_NAMES = {
    "charloom.errors": ("CharloomError", "InputError", "RunError"),
    "charloom.model.sampling": ("Sampling", "sample", "stream"),
    "charloom.model.saved": ("SavedModel", "load_model"),
    "charloom.model.scoring": ("Cost", "Surprisal", "score_articles", "surprisals"),
    "charloom.params": ("Params",),
    "charloom.params_file": ("load_params",),
    "charloom.text.split": ("EncodedSplit",),
    "charloom.text.texts": ("framed",),
    "charloom.text.vocab": ("Vocabulary",),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}
__all__ = [
    "CharloomError",
    "Cost",
    "EncodedSplit",
    "InputError",
    "Params",
    "RunError",
    "Sampling",
    "SavedModel",
    "Surprisal",
    "Vocabulary",
    "framed",
    "load_model",
    "load_params",
    "sample",
    "score_articles",
    "stream",
    "surprisals",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'charloom' has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
