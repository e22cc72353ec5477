"""What a report shows besides the evaluation."""

from __future__ import annotations

from charloom.evaluation.breakdown import BreakdownPart
from charloom.params import Params
from charloom.report.context import paired
from tests.report.conftest import Reported


def test_the_context_states_the_parameters_that_decide_the_result(reported: Reported) -> None:
    assert "mirror" not in reported.context.params["data"]
    assert "tracking" not in reported.context.params


def test_a_users_folder_is_stated_by_its_name_only(reported: Reported, params: Params) -> None:
    assert params.data.source == "/home/someone/<i>mine"
    assert reported.context.corpus == reported.context.params["data"]["source"] == "<i>mine"


def test_the_model_is_described_in_words(reported: Reported) -> None:
    assert reported.context.model == "LSTM, 1 layer of 12 units"


def test_this_model_comes_first_in_comparisons(reported: Reported, classified: Reported) -> None:
    evaluation, context = reported
    bpc = context.all_bpc(evaluation)
    assert list(bpc) == ["this model", *context.baselines.bpc]
    assert bpc["this model"] == evaluation.scores.total.bits_per_character
    assert context.all_accuracy(evaluation) == {}
    accuracy = classified.context.all_accuracy(classified.evaluation)
    assert accuracy == {"this model": 0.875, "naive Bayes": 0.8125, "regression": 0.9, "words": 0.6}


def test_parts_are_paired_by_their_names() -> None:
    ours = [BreakdownPart(name, 1, 1.0) for name in ("a", "b", "a", "c")]
    others = [BreakdownPart(name, 1, 2.0) for name in ("a", "a", "c")]
    assert [other and other.name for _, other in paired(ours, others)] == ["a", None, "a", "c"]
    assert paired(ours, []) == [(part, None) for part in ours]
