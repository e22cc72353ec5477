"""Measure how well simpler models predict the test split: n-grams of characters, compressors and classifiers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any

import numpy as np

from charloom.errors import RunError
from charloom.evaluation.baselines import Amount, Baselines
from charloom.evaluation.classifiers import CLASSIFIERS, check_labelled, measure_classifier
from charloom.evaluation.compressors import measure_ppmd, measure_xz
from charloom.evaluation.ngrams import measure_ngrams
from charloom.evaluation.subsample import subsample
from charloom.params import BaselinesParams
from charloom.text.split import UNLABELLED, EncodedSplit
from charloom.text.vocab import Vocabulary
from charloom.text.workers import in_order, usable_cores


def measure_baselines(
    train: EncodedSplit,
    test: EncodedSplit,
    vocabulary: Vocabulary,
    class_names: Sequence[str],
    params: BaselinesParams,
    seed: int,
    *,
    classifiers: bool = False,
    processes: int | None = None,
) -> Baselines:
    """Measure simpler models on the test split after they have read the training split.

    All of them read the same text: the splits, or a random sample of a split that has more than
    `params.max_characters`. A compressor continues to learn while it reads the test text, also from one article to the
    next. The n-grams, the classifiers and a CharModel do not.

    At most `processes` processes measure them, by default as many as this machine has cores. The result does not depend
    on the number. Raises InputError if there are classifiers, and the labelled articles are all of one class.
    """
    labelled = _labelled(train) if classifiers else 0
    if params.max_characters == 0:
        return Baselines.none(train.characters, test.characters, labelled)
    read_train, read_test = (subsample(split, vocabulary, params.max_characters, seed) for split in (train, test))
    texts = read_train, read_test, vocabulary
    calls: dict[str, Callable[[], Any]] = {}  # the slowest first, so that no process ends long after the others
    if classifiers:
        check_labelled(read_train)
        calls |= {name: partial(measure_classifier, name, *texts) for name in CLASSIFIERS}
    calls["n-grams"] = partial(measure_ngrams, *texts, class_names, params.ngram_order)
    calls["xz"] = partial(measure_xz, *texts)
    calls["PPMd"] = partial(measure_ppmd, *texts, params.ppmd_order)
    results = _call_in_parallel(calls, processes or usable_cores())
    ngrams = results["n-grams"]
    return Baselines(
        bpc={**ngrams.bpc, "xz": results["xz"], "PPMd": results["PPMd"]},
        ngram=ngrams.longest,
        breakdown=ngrams.breakdown,
        train=Amount(read_train.characters, train.characters),
        test=Amount(read_test.characters, test.characters),
        labelled=Amount(_labelled(read_train) if classifiers else 0, labelled),
        accuracy={name: results[name] for name in CLASSIFIERS if classifiers},
    )


def _call_in_parallel(calls: Mapping[str, Callable[[], Any]], processes: int) -> dict[str, Any]:
    """The result of each call, by its name. Prints a line for each result. Raises RunError if the memory is full.

    Only the names of calls go through pipes. The texts do not, because each process is a fork, which shares the memory
    of this process.
    """

    def call(name: str) -> Any:
        _end_with_parent()
        try:
            return calls[name]()
        except MemoryError:
            raise RunError(f"out of memory while measuring {name}") from None

    results = {}
    try:
        for name, result in zip(calls, in_order(call, calls, min(processes, len(calls))), strict=True):
            print(f"measured {name}", flush=True)
            results[name] = result
    except RunError as error:
        raise RunError(f"{error}; lower baselines.max_characters") from None
    return results


def _end_with_parent() -> None:
    """In a fork: end this process when its parent ends, even if the parent is killed in the middle of a call.

    A call can take minutes, and a fork keeps the lock of the stage.
    """

    def watch(parent: BaseProcess) -> None:
        parent.join()
        os._exit(1)

    if (parent := parent_process()) is not None:
        Thread(target=watch, args=(parent,), daemon=True).start()


def _labelled(split: EncodedSplit) -> int:
    """The number of labelled articles."""
    return int(np.count_nonzero(split.classes != UNLABELLED))
