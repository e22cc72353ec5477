"""One-dimensional arrays of unsigned integers in .npy files.

A file is written piece by piece. To read it, the file is mapped into memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from charloom.errors import InputError
from charloom.files import atomic_path

HEADER_BYTES = 128
# The header exactly as NumPy writes it for such an array. A file with any other header is rejected before NumPy parses
# the header, which NumPy would read as a Python literal.
HEADER = re.compile(
    rb"\x93NUMPY\x01\x00v\x00\{'descr': '[|<]u[1248]', 'fortran_order': False, 'shape': \(\d{1,19},\), \} *\n"
)


class NpyFile:
    """An open .npy file to which arrays are appended. At the end, the header is written again with the final length."""

    def __init__(self, file: IO[bytes], dtype: npt.DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self.size = 0
        self._file = file
        self.write_header()

    def append(self, values: npt.ArrayLike | Sequence[int]) -> None:
        """Write values to the end of the file."""
        array = np.asarray(values).astype(self.dtype)
        self._file.write(array.tobytes())
        self.size += array.size

    def write_header(self) -> None:
        """Write the header with the present length."""
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.size,)}
        self._file.seek(0)
        np.lib.format.write_array_header_1_0(self._file, header)


@contextmanager
def npy_writer(path: Path, dtype: npt.DTypeLike) -> Iterator[NpyFile]:
    """Give a file to which arrays are appended. The file appears at `path` only if the block ends without an error."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        array = NpyFile(file, dtype)
        yield array
        array.write_header()


def map_array(path: Path) -> npt.NDArray[Any]:
    """Map the array of a .npy file into memory. Raises InputError if the file is missing or has another header."""
    try:
        with path.open("rb") as file:
            if not HEADER.fullmatch(file.read(HEADER_BYTES)):
                raise InputError(f"{path}: not a .npy file with one row of unsigned integers")
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: not readable as an array: {error}") from None
