"""One-dimensional arrays of unsigned integers in .npy files.

A file is written piece by piece. To read it, the file is mapped into memory.
"""

from __future__ import annotations

import hashlib
import io
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
    """An open .npy file to which arrays are appended. The header, which states the length, is completed at the end."""

    def __init__(self, file: IO[bytes], dtype: npt.DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self.size = 0
        self._file = file
        self._digest = hashlib.sha256()
        file.write(self._header())

    @property
    def sha256(self) -> str:
        """The hexadecimal SHA-256 of the array's bytes, followed by the header for the present length.

        The header is at the beginning of the file, but its content is only known at the end. Because the header comes
        last in the digest, the file need not be read again to compute the digest.
        """
        digest = self._digest.copy()
        digest.update(self._header())
        return digest.hexdigest()

    def append(self, values: npt.ArrayLike | Sequence[int]) -> None:
        """Write values to the end of the file."""
        array = np.ascontiguousarray(values, self.dtype)
        self._file.write(array.data)
        self._digest.update(array.data)
        self.size += array.size

    def complete_header(self) -> None:
        """Write the header again, with the present length. It takes as many bytes as before."""
        self._file.seek(0)
        self._file.write(self._header())

    def _header(self) -> bytes:
        header = {"descr": np.lib.format.dtype_to_descr(self.dtype), "fortran_order": False, "shape": (self.size,)}
        buffer = io.BytesIO()
        np.lib.format.write_array_header_1_0(buffer, header)
        return buffer.getvalue()


@contextmanager
def npy_writer(path: Path, dtype: npt.DTypeLike) -> Iterator[NpyFile]:
    """Give a file to which arrays are appended. The file appears at `path` only if the block ends without an error."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        array = NpyFile(file, dtype)
        yield array
        array.complete_header()


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
