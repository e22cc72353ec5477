# Each target sets up all that it needs: `make demo` and `make test` work on a fresh clone.
PYTHON ?= python3
VENV := .venv
CONSTRAINTS := constraints.txt
EXTRAS :=
BIN := $(VENV)/bin
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"
# the other install, beside torchtext's last release: its variables for another make
TORCHTEXT := VENV=.venv-torchtext CONSTRAINTS=constraints-torchtext.txt 'EXTRAS=[torchtext]'

.PHONY: help install install-torchtext demo screenshots repro deps ui test test-torchtext lint types unit soak fuzz bench audit clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## a virtual environment with the pinned packages

install-torchtext: ## the other one, with torchtext: 6 GB on the disk, half of that to download
	$(MAKE) $(TORCHTEXT) install

# pip 25.1 is the first that reads dependency groups
$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable '.$(EXTRAS)' --group dev
	touch $@

demo: install ## the whole pipeline on the embedded sample, in demo/
	$(RUN) python scripts/demo.py

screenshots: demo ## docs/images' pictures of the demo's report; needs Debian's chromium and chromium-driver
	PYTHONPATH=. $(BIN)/python scripts/screenshots.py

repro: install ## the pipeline with params.yaml, and what it holds in MLflow
	$(RUN) python scripts/mend.py
	$(RUN) dvc repro
	$(RUN) charloom publish

deps: install ## write the code that each stage imports into dvc.yaml
	$(RUN) python scripts/code_deps.py

# the server's jobs, seven processes, are for evaluations of language models by others
ui: install ## MLflow's pages, on this machine only
	@case "$$MLFLOW_TRACKING_URI" in \
	http*) echo "MLFLOW_TRACKING_URI names a server: open $$MLFLOW_TRACKING_URI" ;; \
	*) $(RUN) MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --host 127.0.0.1 --port "$${PORT:-5000}" --workers 1 \
		--backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///$(CURDIR)/mlflow.db}" ;; \
	esac

test: lint types unit ## all that a change must pass

test-torchtext: install install-torchtext ## the same tests beside torchtext, and those that read what the other install wrote
	CHARLOOM_OTHER_PYTHON="$(CURDIR)/$(BIN)/python" $(MAKE) $(TORCHTEXT) unit

lint: install
	$(RUN) ruff check .
	$(RUN) ruff format --check .

types: install
	$(RUN) mypy

# a file to a process, in the order of tests/conftest.py: the slow ones first
unit: install
	$(RUN) pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(TESTS)

soak: install ## the long versions of the fault tests
	$(RUN) CHARLOOM_KILLS=20 CHARLOOM_PIPELINE_KILLS=60 CHARLOOM_RUNS=500 CHARLOOM_SOAK=1 pytest -s tests/faults

fuzz: install ## 10,000 mutations of the files that charloom reads
	$(RUN) CHARLOOM_MUTATIONS=2000 pytest -s tests/faults/test_hostile_files.py

bench: install ## what BENCHMARKS.md quotes, a quarter of an hour on a quiet machine
	set -e; for each in windows training busy sampling scoring classify; do $(RUN) python benchmarks/$$each.py; done

audit: ## known vulnerabilities of the pinned packages; asks the package index, and fails where it does not answer
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet pip-audit==2.10.1
	build/audit/bin/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

clean: ## remove the environment and the demo; results and caches of the pipeline stay
	rm -rf $(VENV) .venv-torchtext demo build
