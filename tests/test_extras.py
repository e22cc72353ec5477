from __future__ import annotations

from importlib.util import find_spec

import pytest

from charloom.errors import InputError
from charloom.extras import load_torchtext
from tests.conftest import Run

LOAD = """
import warnings
warnings.simplefilter("error")
from charloom.extras import load_torchtext
print(load_torchtext().vocab.__name__)
"""


@pytest.mark.skipif(find_spec("torchtext") is not None, reason="this install has torchtext")
def test_without_torchtext_the_error_names_the_extra() -> None:
    with pytest.raises(InputError, match=r"No module named 'torchtext'.*pip install 'charloom\[torchtext\]'"):
        load_torchtext()


@pytest.mark.usefixtures("torchtext")
def test_torchtext_is_loaded_without_its_deprecation_warning(run_python: Run) -> None:
    done = run_python(LOAD)
    assert (done.stdout, done.stderr) == ("torchtext.vocab\n", "")
