"""What `import charloom` offers, and what it loads."""

from __future__ import annotations

import pytest

import charloom
from tests.conftest import CHECKOUT, Run

LOADED = """
import sys
sys.path.insert(0, sys.argv[1])
import charloom
print(*sorted({"torch", "mlflow", "pydantic"} & sys.modules.keys()))
"""


@pytest.mark.parametrize("name", charloom.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(charloom, name).__name__ == name
    assert name in dir(charloom)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'lstm'"):
        charloom.lstm  # noqa: B018


def test_import_charloom_loads_neither_torch_nor_mlflow(run_python: Run) -> None:
    assert run_python(LOADED, CHECKOUT / "src").stdout == "\n"
