"""Write play.html, a page that contains the model. One types into it, and the model predicts and writes.

The page is one file that loads nothing. Its scripts, in templates/play, compute the network and the memory again.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Template
from markupsafe import Markup

from charloom.cells import CELLS
from charloom.evaluation.classification import log_priors
from charloom.evaluation.quantization import Quantized, Rows, quantize
from charloom.files import write_text
from charloom.model.counts import SHARES
from charloom.model.memory import BY_CLASS, MATCH_SHARES, TEXT
from charloom.model.network import MEMORY_SCALE
from charloom.model.saved import MEMORY, SavedModel
from charloom.params import EvaluateParams
from charloom.report.context import Context
from charloom.report.page import HEAT, templates
from charloom.terminal import harmless
from charloom.text.split import EncodedSplit
from charloom.text.vocab import nats_of_unknown

TEMPLATES = Path(__file__).parent / "templates" / "play"
SCRIPTS = ("stored", "matches", "memory", "network", "model", "reader", "app")
KNOWN_CELLS = ("RNN", "LSTM", "GRU")  # those in network.js


def write_play(path: Path, saved: SavedModel, test: EncodedSplit, context: Context, params: EvaluateParams) -> None:
    """Write the page. If it cannot contain this model, it says why. The same model gives the same bytes."""
    absent = why_absent(saved, params.play_megabytes)
    if not absent:
        page = page_with(saved, quantize(saved, test, params.seed), context)
        if (size := len(page.encode()) / 1e6) <= params.play_megabytes:
            write_text(path, page)
            return
        absent = f"it would have {size:.1f} MB, and evaluate.play_megabytes is {params.play_megabytes:g}"
    write_text(path, _template().render(context=context, absent=absent, heat=HEAT))


def why_absent(saved: SavedModel, megabytes: float) -> str:
    """Why the page cannot contain this model. Empty if it can."""
    if not megabytes:
        return "evaluate.play_megabytes is 0"
    cell = saved.model.params.cell
    return "" if cell in KNOWN_CELLS else f"its script knows only {', '.join(KNOWN_CELLS)}, and model.cell is {cell}"


def page_with(saved: SavedModel, quantized: Quantized, context: Context) -> str:
    """The page with this model, whose weights it stores as `quantized`."""
    script = "\n".join(['"use strict";', *((TEMPLATES / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)])
    tensors = quantized.rows | _memory_tensors(saved)
    return _template().render(
        context=context,
        absent="",
        quantized=quantized,
        classes=len(saved.class_counts),
        heat=HEAT,
        about=_about(saved) | {"tensors": [_described(name, rows) for name, rows in tensors.items()]},
        tensors=_packed(tensors.values()),
        script=Markup(script),  # the script is part of charloom and contains no text of a corpus
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _template() -> Template:
    return templates().get_template("play/page.html")


def _memory_tensors(saved: SavedModel) -> dict[str, Rows]:
    """The tensors of the memory, without the counts of all articles: the script counts the text again."""
    stored = saved.model.memory.stored if saved.model.memory else {}
    return {
        MEMORY + name: Rows(tensor.numpy())
        for name, tensor in stored.items()
        if name.startswith(BY_CLASS) or name in (TEXT, MATCH_SHARES, SHARES)
    }


def _about(saved: SavedModel) -> dict[str, Any]:
    """What the script knows of the model in addition to the tensors."""
    model, vocabulary = saved.model, saved.vocabulary
    memory = model.memory
    return {
        "cell": model.params.cell,
        "layers": model.params.layers,
        "hidden": model.params.hidden_size,
        "stateTensors": len(CELLS[model.params.cell].state),
        "symbols": model.symbols,
        "eos": vocabulary.eos,
        "characters": vocabulary.characters,
        "normalize": vocabulary.normalize,
        "unknownNats": nats_of_unknown(model.symbols),
        "classes": len(saved.class_counts),
        "classNames": [harmless(each.name) for each in saved.class_counts],
        "classSlots": model.class_slots,
        "classEmbedding": model.class_character_size,
        "classTemperature": saved.class_temperature,
        "logPriors": log_priors(saved.class_counts).tolist() if saved.class_counts else [],
        "order": memory.order if memory else 0,
        "denseLevel": memory.counts.dense_level if memory else 0,
        "memoryScale": MEMORY_SCALE,
        "frequent": memory.by_frequency[: model.memory_inputs].tolist() if memory else [],
        "heat": HEAT,
    }


def _described(name: str, rows: Rows) -> dict[str, Any]:
    """The name, type and shape of a tensor, as the script reads them."""
    values = rows.values
    return {"name": name, "type": values.dtype.name, "shape": values.shape, "scaled": rows.scales is not None}


def _packed(tensors: Iterable[Rows]) -> str:
    """The bytes of all tensors, little-endian, compressed, as base64."""
    arrays = (array for rows in tensors for array in rows if array is not None)
    data = b"".join(array.astype(array.dtype.newbyteorder("<")).tobytes() for array in arrays)
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()
