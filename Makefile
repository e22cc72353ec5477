# Each target installs what it needs, so `make demo` and `make test` work in a fresh clone. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
CONSTRAINTS := constraints.txt
EXTRAS :=
BIN := $(VENV)/bin
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"
# The variables with which another make creates and uses the second install, which has torchtext's last release
TORCHTEXT := VENV=.venv-torchtext CONSTRAINTS=constraints-torchtext.txt 'EXTRAS=[torchtext]'

.PHONY: help install install-torchtext demo tutorial screenshots repro run deps ui test test-torchtext lint types unit soak fuzz bench gpu-check audit clean

help: ## list all targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## create .venv with the pinned packages

install-torchtext: ## create .venv-torchtext, a second install with torchtext (6 GB, half of it downloaded)
	$(MAKE) $(TORCHTEXT) install

# `--group dev` needs pip 25.1 or newer
$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("error: $(PYTHON) is Python %d.%d, but charloom \
	needs 3.11 or newer; name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable '.$(EXTRAS)' --group dev
	touch $@

demo: install ## run the whole pipeline on the small corpus that comes with charloom, in demo/ (three minutes)
	$(RUN) python scripts/demo.py

tutorial: install ## run docs/tutorial.py, and write docs/tutorial.md with its outputs and pictures (a minute)
	$(RUN) python scripts/render_tutorial.py

screenshots: demo ## take the pictures of the demo's report in docs/images (needs chromium and chromium-driver)
	PYTHONPATH=. $(BIN)/python scripts/screenshots.py

repro: install ## run the pipeline with params.yaml, then publish the results to MLflow
	$(RUN) python scripts/repair_dvc.py
	$(RUN) charloom doctor --fast
	$(RUN) dvc repro
	$(RUN) charloom publish

run: install ## run the pipeline with a preset, as an experiment of DVC: make run PRESET=ten-minutes (folder presets)
	@test -f "presets/$(PRESET)" || { echo "error: PRESET='$(PRESET)': choose one of: $(notdir $(sort $(wildcard presets/*)))" >&2; exit 2; }
	$(RUN) dvc exp run $$(sed -n 's/^[^#]/-S &/p' "presets/$(PRESET)")
	$(RUN) charloom publish

deps: install ## write the code that each stage imports into dvc.yaml
	$(RUN) python scripts/code_deps.py

ui: install ## show the runs in MLflow at http://127.0.0.1:5000 (set PORT for another port)
	$(RUN) python scripts/ui.py

test: lint types unit ## run all checks that a change must pass: lint, types and tests

test-torchtext: install install-torchtext ## run the tests in the install with torchtext, and exchange models between both installs
	CHARLOOM_OTHER_PYTHON="$(CURDIR)/$(BIN)/python" $(MAKE) $(TORCHTEXT) unit

lint: install ## check style and format with ruff
	$(RUN) ruff check .
	$(RUN) ruff format --check .

types: install ## check types with mypy
	$(RUN) mypy

# Each process runs whole test files. tests/conftest.py puts the slow files first.
unit: install ## run the tests; with TESTS=tests/text, only those in that folder
	$(RUN) pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(TESTS)

soak: install ## run the fault tests with many more kills and runs (docs/reliability.md)
	$(RUN) CHARLOOM_KILLS=20 CHARLOOM_PIPELINE_KILLS=60 CHARLOOM_RUNS=500 CHARLOOM_SOAK=1 pytest -s tests/faults

fuzz: install ## read 10,000 damaged or forged files (docs/reliability.md)
	$(RUN) CHARLOOM_MUTATIONS=2000 pytest -s tests/faults/test_hostile_files.py

bench: install ## run the short benchmarks of BENCHMARKS.md (twenty minutes on a quiet machine)
	set -e; for each in windows processes training busy sampling scoring classify; do \
		$(RUN) python benchmarks/$$each.py; done
	$(RUN) python benchmarks/large_corpus.py --gigabytes 0.05

gpu-check: ## check and measure charloom on this machine's GPU, without a network (BENCHMARKS.md); GPU=cpu rehearses it
	$(PYTHON) scripts/gpu_check.py --device $${GPU:-cuda}

audit: ## ask the package index for known vulnerabilities of the pinned packages
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet pip-audit==2.10.1
	build/audit/bin/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

clean: ## remove both installs and the demo; results and caches of the pipeline remain
	rm -rf $(VENV) .venv-torchtext demo build
