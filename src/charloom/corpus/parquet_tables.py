"""Reads Parquet tables, some rows at a time. pyarrow is imported only if there is such a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from charloom.corpus.lines import REPLACE
from charloom.errors import InputError
from charloom.files import not_utf8


def parquet_columns(file: IO[bytes], name: str) -> dict[str, bool]:
    """The names of the columns, and whether the cells of each are texts, numbers or other single values.

    Raises InputError if the content of the file is not Parquet.
    """
    import pyarrow as pa
    from pyarrow import parquet

    with _explained(name):
        schema = parquet.read_metadata(file).schema.to_arrow_schema()
    others = (pa.types.is_nested, pa.types.is_binary, pa.types.is_large_binary)
    return {field.name: not any(is_other(field.type) for is_other in others) for field in schema}


def parquet_rows(
    file: IO[bytes], name: str, columns: Sequence[str], errors: str, option: str = REPLACE
) -> Iterator[tuple[str, Sequence[object]]]:
    """The cells of these columns for each row, with the place of the row. The file must be seekable.

    `option` is the setting that replaces wrong bytes, "" if there is none.

    Raises InputError if the content of the file is not Parquet, or if a text is not UTF-8 and `errors` is "strict".
    """
    from pyarrow import parquet

    number = 0
    with _explained(name):
        # With read_dictionary, memory holds a value that many rows share once, as the file does. pyarrow knows no such
        # dictionary for a nested column.
        is_plain = parquet_columns(file, name)
        opened = parquet.ParquetFile(file, read_dictionary=[column for column in columns if is_plain[column]])
        for batch in opened.iter_batches(batch_size=1024, columns=list(columns)):
            for cells in zip(*(batch.column(column) for column in columns), strict=True):
                number += 1
                place = f"{name}: row {number}"
                yield place, [_python_value(cell, place, errors, option) for cell in cells]


@contextmanager
def _explained(name: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if getattr(error, "errno", None):  # the operating system's error; the content of the file did not cause it
            raise
        raise InputError(f"{name}: not readable as Parquet: {error}; get or write the file again") from None


def _python_value(value: Any, place: str, errors: str, option: str) -> object:
    """An Arrow value as a Python value. Arrow does not check that its strings are UTF-8, so this function checks it."""
    import pyarrow as pa

    if isinstance(value, pa.DictionaryScalar):
        value = value.value
    if isinstance(value, (pa.StringScalar, pa.LargeStringScalar, pa.StringViewScalar)) and value.is_valid:
        try:
            return value.as_buffer().to_pybytes().decode("utf-8", errors)
        except UnicodeDecodeError as error:
            raise not_utf8(
                place, error, remedy="convert the text to UTF-8" + f", or set {option}" * bool(option)
            ) from None
    if isinstance(value, pa.FloatScalar) and value.is_valid:  # 0.1 in 32 bits is not 0.10000000149
        return float(value.cast(pa.string()).as_py())
    return value.as_py()
