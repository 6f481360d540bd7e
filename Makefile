# clientfit: `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

SOURCE ?= simulated
AS_OF ?=
CLIENT ?=
PYTEST ?=
# To the commands as they stand: neither make nor the shell may read a client's id or a folder's name as its own language.
override SOURCE := $(value SOURCE)
override AS_OF := $(value AS_OF)
override CLIENT := $(value CLIENT)
export SOURCE AS_OF CLIENT

# DVC runs `python` from PATH: the project's own, whatever is active in the shell.
export PATH := $(abspath .venv/bin):$(PATH)
export PYTHONPATH :=
# Off before any of them is imported; the code sets the same for those who call it without make.
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
export DVC_NO_ANALYTICS := true
export GX_ANALYTICS_ENABLED := false
export MPLBACKEND := Agg

READY := .venv/.ready

.PHONY: help setup train score explain review-list status test nightly check format lock bench figures evaluate curves clean

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  SOURCE=<name or folder>   a source under data/sources, or the folder of your own (default: $(SOURCE))"

setup: $(READY)  ## .venv with everything the lock file names

$(READY): requirements.lock pyproject.toml
	@command -v python3.11 >/dev/null || { echo "error: python3.11 is missing. Install it: apt-get install python3.11 python3.11-venv"; exit 2; }
	@command -v git >/dev/null || { echo "error: git is missing. Install it: apt-get install git"; exit 2; }
	@test -x .venv/bin/python || python3.11 -m venv .venv || { echo "error: no venv module. Install it: apt-get install python3.11-venv"; exit 2; }
	@python -c 'import ctypes; ctypes.CDLL("libgomp.so.1")' 2>/dev/null || { echo "error: libgomp.so.1 is missing (LightGBM needs it). Install it: apt-get install libgomp1"; exit 2; }
	@echo "installing the locked packages into .venv (about two minutes) …"
	@python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: --no-binary antlr4-python3-runtime -r requirements.lock
	@python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

train: $(READY)  ## data to registered model: figures, reasons, scores to come. SOURCE=…
	@python -m pipeline.source "$$SOURCE"
	@dvc repro --quiet
	@python -m pipeline.summary

score: $(READY)  ## every client's risks and reasons from the champions. SOURCE=… AS_OF=YYYY-MM-DD
	@python -m pipeline.source "$$SOURCE"
	@dvc repro --quiet validate
	@python -m pipeline.score $${AS_OF:+--as-of "$$AS_OF"}

explain: $(READY)  ## one client's reasons. CLIENT=… SOURCE=…
	@test -n "$$CLIENT" || { echo "error: make explain CLIENT=<client_id>"; exit 2; }
	@python -m pipeline.source "$$SOURCE"
	@dvc repro --quiet validate
	@python -m pipeline.explain --client "$$CLIENT"

review-list: $(READY)  ## clients to judge by a person, half uncertain, half at random, as a CSV to fill in. SOURCE=… AS_OF=YYYY-MM-DD
	@python -m pipeline.source "$$SOURCE"
	@dvc repro --quiet validate
	@python -m pipeline.review_list $${AS_OF:+--as-of "$$AS_OF"}

status: $(READY)  ## how fresh the data are, the last run, the champion. SOURCE=…
	@python -m pipeline.source "$$SOURCE"
	@python -m pipeline.status

test: $(READY)  ## the tests that run on every change
	@python -m pytest -q $(PYTEST)

nightly: $(READY)  ## all tests, the long ones too
	@python -m pytest -q -m "" $(PYTEST)

check: $(READY)  ## format, lint, types: what CI runs
	@ruff format --check .
	@ruff check .
	@mypy

format: $(READY)  ## mends what check would find and can be mended
	@ruff format . && ruff check --fix .

bench: $(READY)  ## speed and memory, each beside its yardstick in one run (about 25 minutes); into the README
	@mkdir -p .figures
	@python tests/benchmarks/feature_engine.py --json .figures/feature_engine.json
	@python tests/benchmarks/all_signals.py --json .figures/all_signals.json
	@python tests/benchmarks/ingest_load.py --json .figures/ingest_load.json
	@python tests/benchmarks/training_load.py --json .figures/training_load.json
	@python tests/benchmarks/readme.py

figures: $(READY)  ## the README's figures: real data (../shared/data, else left out), default portfolio, permuted labels
	@mkdir -p .figures
	@$(MAKE) --no-print-directory train SOURCE=simulated
	@python tests/benchmarks/real_data.py wholesaler --json .figures/wholesaler.json
	@python tests/benchmarks/real_data.py helpdesk --json .figures/helpdesk.json
	@test ! -e ../shared/data/wholesaler || { $(MAKE) --no-print-directory train SOURCE=wholesaler && \
		$(MAKE) --no-print-directory score SOURCE=wholesaler && \
		python tests/benchmarks/little_data.py wholesaler --json .figures/wholesaler_decide.json; }
	@python tests/benchmarks/permuted_labels.py simulated --json .figures/permuted_labels.json
	@cp data/simulated/evaluate/churn/metrics.json .figures/simulated.json
	@cp data/simulated/evaluate/misfit/metrics.json .figures/simulated_misfit.json
	@python tests/benchmarks/readme.py

evaluate: $(READY)  ## worlds of known truth: leaving and misfit foreseen, causes found, what signals and advice are worth (about 2.5 hours); into the README
	@mkdir -p .figures
	@python tests/benchmarks/known_truth.py --json .figures/known_truth.json
	@python tests/benchmarks/misfit_truth.py --json .figures/misfit_truth.json
	@python tests/benchmarks/advice.py --json .figures/advice.json
	@python tests/benchmarks/readme.py

curves: $(READY)  ## the README's curves by size, horizon and tuning, on simulated portfolios (about 50 minutes)
	@mkdir -p .figures
	@python tests/benchmarks/size_curve.py --json .figures/size_curve.json
	@python tests/benchmarks/horizon_chain.py --json .figures/horizon_chain.json
	@python tests/benchmarks/tuning.py --json .figures/tuning.json
	@python tests/benchmarks/readme.py

lock: $(READY)  ## requirements.lock anew from pyproject.toml and constraints.txt (needs uv)
	@rm -f requirements.lock
	@uv pip compile -q --python-version 3.11 --python-platform x86_64-unknown-linux-gnu --generate-hashes --no-header --no-annotate \
	  --extra dev -c constraints.txt pyproject.toml -o requirements.lock

clean:  ## removes what the stages made (data/<source>, DVC's cache); keeps .venv, the registry .mlflow and review lists, which people fill in
	@find data -mindepth 2 -maxdepth 2 ! -path 'data/sources/*' ! -name review_list -exec rm -rf {} +
	@find data -mindepth 1 -maxdepth 1 -type d -empty -delete
	@rm -rf .dvc/cache .dvc/tmp .source.yaml .pytest_cache .mypy_cache .ruff_cache
