"""MLflow's pages in a real browser: the comparison of two runs, and the list of models."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from charloom.tracking.registry import promote
from tests.browser import DESKTOP, chromium, look, missing
from tests.tracking.pages import compare_curves, compare_parameters, list_models
from tests.tracking.server import Server
from tests.tracking.tracked import HISTORY, Tracked, with_params

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not installed: {', '.join(missing())}")
NAMES = "one run", "another run"


@pytest.fixture
def browser() -> Iterator[Chrome]:
    with chromium() as driver:
        look(driver, DESKTOP)
        yield driver


def test_the_pages_compare_two_runs_and_list_their_models(
    tracked: Tracked, server: Server, browser: Chrome, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.come_back()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    tracked = with_params(tracked, experiment="pages")
    tracked.train()
    tracked.evaluate(seed=1)
    tracked.evaluate("f" * 64, seed=7)
    experiment = tracked.client.get_experiment_by_name("pages")
    assert experiment
    ids = [run.info.run_id for run in tracked.runs()]
    for run_id, name in zip(ids, NAMES, strict=True):
        tracked.client.update_run(run_id, name=name)

    text = compare_parameters(browser, server.uri, experiment.experiment_id, ids)
    assert "Comparing 2 Runs" in text
    assert "evaluate.seed" in text
    assert all(name in text for name in NAMES)

    validated = [record for record in HISTORY if record.valid_bpc is not None]
    steps, values = [record.step for record in validated], [record.valid_bpc for record in validated]
    curves = compare_curves(browser, server.uri, experiment.experiment_id, "valid/bpc")
    assert curves == dict.fromkeys(NAMES, (steps, values))

    promote(tracked.params, ids[0], "best", other_data=False)
    look(browser, 1800)
    newest, promoted = (row.split("\n") for row in list_models(browser, server.uri, experiment.experiment_id))
    assert "2.25" in newest
    assert {"2.25", "pages", "v1"} <= set(promoted)
    assert "v1" not in newest
