"""The checkpoints of a training: all that is needed to resume it and to end with the same bytes.

A checkpoint is a safetensors file. All values that are not tensors are JSON, which is stored as a tensor of bytes. The
natural place for the JSON would be the metadata of the file. But safetensors reads metadata only from a file on disk,
and here only process 0 reads the file: it sends the bytes to the other processes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from charloom.errors import RunError, say
from charloom.files import atomic_path, exclusive, file_digest, write_text
from charloom.leftovers import finished_file

VERSION = 4


class Interrupted(RunError):
    """The training was asked to stop. Its checkpoint is on disk."""


@dataclass(frozen=True)
class Checkpoint:
    """A training at one step: its tensors, named `group.name`, and all other values in `position`.

    state.py lists the groups and the values.
    """

    tensors: dict[str, Tensor]
    position: dict[str, Any]

    def group(self, group: str) -> dict[str, Tensor]:
        """The tensors of one group, by their names within the group."""
        prefix = f"{group}."
        return {name.removeprefix(prefix): tensor for name, tensor in self.tensors.items() if name.startswith(prefix)}

    def to_bytes(self) -> bytes:
        """The checkpoint as the bytes of a safetensors file. A digest among them makes damage noticeable."""
        text = json.dumps({"version": VERSION, **self.position}, allow_nan=False).encode()
        tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()} | {"json": _bytes_tensor(text)}
        return save({**tensors, "sha256": _bytes_tensor(_tensors_digest(tensors))})

    @classmethod
    def from_bytes(cls, data: bytes) -> Checkpoint:
        """The checkpoint in these bytes. Raises ValueError if it is damaged or of another version."""
        try:
            tensors = load(data)
            digest = tensors.pop("sha256").numpy().tobytes()
            if digest != _tensors_digest(tensors):
                raise ValueError("the checkpoint is damaged")
            position = json.loads(tensors.pop("json").numpy().tobytes())
        except (SafetensorError, KeyError, RecursionError) as error:
            raise ValueError(f"it is not a checkpoint: {error}") from None
        if not isinstance(position, dict) or position.pop("version", None) != VERSION:
            raise ValueError("the checkpoint has another format version")
        return cls(tensors, position)


class Checkpoints:
    """The folder of one training's checkpoints. Its name is the train_key, so only the same training finds the folder.

    The folder keeps two checkpoints, `last` and `previous`. A new checkpoint is written as `next`. When it is complete,
    `last` is renamed to `previous`, and `next` to `last`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._next = folder / "next.safetensors"
        self._last = folder / "last.safetensors"
        self._previous = folder / "previous.safetensors"
        self._worker = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None  # the checkpoint that the worker writes

    def __str__(self) -> str:
        return str(self._folder)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from running the same training. Removes the half-written files of a killed process."""
        with exclusive(self._folder.with_suffix(".lock"), "the checkpoints of this training"):
            for unfinished in self._folder.glob(".*.tmp"):
                unfinished.unlink()
            yield

    def save(self, checkpoint: Checkpoint) -> None:
        """Begin to write a checkpoint, in a thread, so that training goes on.

        If the checkpoint before is still being written, this waits for it. Until the new file is complete, `read` keeps
        returning the previous checkpoint.
        """
        self.finish_saving()
        self._writing = self._worker.submit(self._write, checkpoint)

    def finish_saving(self) -> None:
        """Wait until the latest checkpoint is on disk. Raises OSError if it could not be written."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write(self, checkpoint: Checkpoint) -> None:
        with atomic_path(self._next) as temporary:
            temporary.write_bytes(checkpoint.to_bytes())
        if self._last.exists():
            self._last.replace(self._previous)
        self._next.replace(self._last)

    def read(self) -> bytes | None:
        """The bytes of the newest undamaged checkpoint, or None. Prints a warning for each damaged checkpoint."""
        self.finish_saving()
        for path in (self._next, self._last, self._previous):
            if path.exists():
                data = path.read_bytes()
                try:
                    Checkpoint.from_bytes(data)
                except ValueError as error:
                    say(f"warning: {path}: skipped, because {error}")
                else:
                    return data
        return None

    def note_finished(self, result: Path) -> None:
        """Record that this training has finished, and the MD5 of its model.json. dvc.lock contains MD5s, too."""
        write_text(finished_file(self._folder), file_digest(result, "md5"))


def _bytes_tensor(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _tensors_digest(tensors: Mapping[str, Tensor]) -> bytes:
    """The SHA-256 of contiguous tensors with their names, types and shapes."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.digest()
