"""Random changes to files, as by damage (changed bytes) or by an attacker (forged content in a valid format)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

VALUES: list[Any] = [None, True, -1, 0, 2**31, 2**63, 10**400, 1e308, 0.5, "", "\ud800", "\x1b[2J", "../x", [], {}]
YAML_VALUES = (
    "!!python/object/apply:os.system ['touch ran']",
    "!!python/name:os.system",
    "!!binary aGk=",
    "!!set {a, b}",
    "!run x",
    "&a [*a]",
    "*nowhere",
    "&b 3",
    "-.inf",
    ".nan",
    "1e999",
    "9" * 400,
    "9" * 5000,
    "0x" + "f" * 300,
    "1:30",
    "010",
    "yes",
    "2001-12-15",
    "~",
    "''",
    "[1, [2, [3]]]",
    "{a: {b: c}}",
    "|2\n    text",
    '"\\ud800"',
    '"\\x1b]0;title\\x07"',
    "'\x1b[31m'",
    "\u202eright to left",
    "[" * 400 + "]" * 400,
    "[" * 5000,
    "{a: " * 5000,
)
YAML_LINES = (
    "<<: {a: 1}",
    "<<: *x",
    "? [a, b]",
    "? {a: b}",
    "---",
    "...",
    "%YAML 1.1",
    "%TAG ! tag:x,2000:",
    "\t",
    "\0",
)
NUMBERS = b"0 -1 1 2 255 65536 2147483648 4294967296 9223372036854775807 9223372036854775808 1e308 0.5 NaN".split()
TYPES = (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int8, torch.uint8, torch.bool)
WORDS = b"F64 F32 BF16 U8 I64 |O |V8 <f8 >u2 <u8 (3,)u4 __metadata__ ../../etc/passwd /dev/zero \\ud800 \\u001b".split()


def forge_json(path: Path, random: Random) -> None:
    """Replace or remove one entry of a JSON file, at a random depth."""
    value = forged_json(json.loads(path.read_text(encoding="utf-8")), random)
    path.write_text(json.dumps(value, ensure_ascii=random.random() < 0.5), encoding="utf-8", errors="surrogatepass")


def forged_json(value: Any, random: Random) -> Any:
    """The value after one entry, at a random depth, was replaced or removed."""
    place, inner = value, value
    key: Any = None
    while isinstance(inner, dict | list) and inner and (key is None or random.random() < 0.7):
        place = inner
        key = random.choice(list(inner)) if isinstance(inner, dict) else random.randrange(len(inner))
        inner = place[key]
    if random.random() < 0.2:
        del place[key]
    else:
        place[key] = random.choice(VALUES)
    return value


def forge_yaml(path: Path, random: Random) -> None:
    """Add, remove, repeat or change a line of a YAML file, or replace or remove an entry at a random depth."""
    lines = path.read_text(encoding="utf-8").splitlines()
    at = random.randrange(len(lines))
    match random.randrange(6):
        case 0:
            lines[at] = re.sub(r": [^#]*", lambda _: ": " + random.choice(YAML_VALUES), lines[at], count=1)
        case 1:
            lines.insert(at, lines[at])
        case 2:
            del lines[at]
        case 3:
            lines[at] = re.sub(r"\w+:", lambda _: random.choice(YAML_VALUES) + ":", lines[at], count=1)
        case 4:
            lines.insert(at, lines[at][: random.choice((0, 2))] + random.choice(YAML_LINES))
        case 5:
            lines = yaml.dump(forged_json(yaml.safe_load("\n".join(lines)), random)).splitlines()
    path.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")


def forged_tensors(tensors: dict[str, Tensor], random: Random) -> dict[str, Tensor]:
    """The tensors after one of them was removed, renamed, copied or changed."""
    name = random.choice(sorted(tensors))
    tensor = tensors.pop(name)
    match random.randrange(9):
        case 0:
            return tensors
        case 1:
            tensor = tensor.flatten()[: random.randint(0, tensor.numel())].clone()
        case 2:
            tensor = tensor.to(random.choice(TYPES))
        case 3:
            tensor = torch.full_like(tensor, random.choice(_extremes(tensor)))
        case 4:
            tensor = tensor[None].clone()
        case 5:
            name = random.choice(("../../etc/passwd", "model.\0", "optimizer.x.step", "state.0", name + ".x"))
        case 6:
            tensors["optimizer.99.exp_avg"] = tensor.clone()
        case 7:
            tensor = tensor.flatten().roll(1).reshape(tensor.shape).clone()
        case 8 if tensor.numel():
            tensor = tensor.clone()
            tensor.view(-1)[random.randrange(tensor.numel())] = random.choice(_extremes(tensor))
    return tensors | {name: tensor}


def _extremes(tensor: Tensor) -> tuple[float, ...]:
    """Values that a tensor of this type can have, most of them absurd."""
    if tensor.is_floating_point():
        return float("nan"), float("inf"), -1e38, 1e38, 0.0
    limits = torch.iinfo(tensor.dtype)
    return limits.min, limits.max, 0, 1, 2


def forged_array(array: Any, random: Random) -> Any:
    """The array with another length, value, type, shape or order."""
    match random.randrange(7):
        case 0:
            return array[: random.randint(0, len(array))]
        case 1:
            array[random.randrange(len(array))] = np.iinfo(array.dtype).max - random.randint(0, 3)
        case 2:
            array[random.randrange(len(array))] = random.randint(0, 255)
        case 3:
            return array.astype(random.choice(("i8", "f8", "u8", ">u4", "U3", "M8[s]", "?", "V3")))
        case 4:
            return array[None]
        case 5:
            return array[::-1]
        case 6:
            return np.zeros((), dtype=[("a", "u1"), ("../b", "u8")])
    return array


def mutate(data: bytes, random: Random) -> bytes:
    """Make one to three random changes to the bytes."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        data = random.choice(CHANGES)(data, random)
    return data


def flip(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.randint(1, 8) if changed else 0):
        changed[random.randrange(min(len(changed), random.choice((64, 512, 1 << 30))))] ^= 1 << random.randrange(8)
    return bytes(changed)


def truncate(data: bytes, random: Random) -> bytes:
    return data[: random.randint(0, len(data))]


def splice(data: bytes, random: Random) -> bytes:
    begin = random.randint(0, min(len(data), random.choice((128, 1 << 30))))
    return data[:begin] + random.randbytes(random.randint(0, 16)) + data[begin + random.randint(0, 16) :]


def repeat(data: bytes, random: Random) -> bytes:
    begin = random.randint(0, len(data))
    return data[:begin] + data[begin : begin + random.randint(0, 200)] * 2 + data[begin:]


def replace_number(data: bytes, random: Random) -> bytes:
    return replace(rb"-?\d+", data, random.choice(NUMBERS), random)


def replace_word(data: bytes, random: Random) -> bytes:
    return replace(rb"(?<=[\"'])[^\"']*(?=[\"'])", data, random.choice(WORDS), random)


def replace_header_length(data: bytes, random: Random) -> bytes:
    return random.choice((2**63, 2**40, 100_000_000, len(data), 0, 8)).to_bytes(8, "little") + data[8:]


def replace(pattern: bytes, data: bytes, new: bytes, random: Random) -> bytes:
    """Replace one match in the first 4 KiB. If the data is a safetensors file, correct the length of its header."""
    found = list(re.finditer(pattern, data[:4096]))
    if not found:
        return data
    match = random.choice(found)
    changed = data[: match.start()] + new + data[match.end() :]
    header = int.from_bytes(data[:8], "little")
    if 8 < header < len(data) and match.start() >= 8:
        changed = max(0, header + len(changed) - len(data)).to_bytes(8, "little") + changed[8:]
    return changed


CHANGES = (flip, truncate, splice, repeat, replace_number, replace_number, replace_word, replace_header_length)
