# HybridLab. `make` alone lists what there is. All of it runs in the project's own .venv.
# Pass options on with ARGS, as in: make test ARGS="-k decoder"; choose a Python with PYTHON=...

.DEFAULT_GOAL := help
.PHONY: help setup lab demo test prove lint bench lock

# The first Python that starts: a version manager's shim may have nothing behind it.
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	if $$p -c "" >/dev/null 2>&1; then echo $$p; break; fi; done)
endif
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
UV := $(if $(shell command -v uv 2>/dev/null),uv,$(BIN)/uv)
COMPILE := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

# Packages of another environment must not be seen from inside .venv.
unexport PYTHONPATH
unexport PYTHONHOME

help:  ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' Makefile

setup:  ## make .venv and install everything; quick when nothing changed
	@if [ -z "$(PYTHON)" ]; then \
	echo "set-up: no Python found; install Python 3.11 or newer and run make again." >&2; exit 1; fi
	@"$(PYTHON)" tools/setup_env.py

lab: setup  ## open the course in JupyterLab
	@$(BIN)/hybridlab lab $(ARGS)

demo: setup  ## train, calibrate and try a hybrid classifier in a few minutes
	@$(BIN)/hybridlab demo $(ARGS)

test: setup  ## run every test, the notebooks among them
	@MPLBACKEND=Agg $(BIN)/python -m pytest $(ARGS)

prove: setup  ## prove that the exercises' checks judge well (ARGS=--sample: a minute)
	@$(BIN)/python tools/prove.py $(ARGS)

lint: setup  ## check style and types (ruff and mypy)
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m mypy hybridlab

bench: setup  ## measure the project's speed ratios
	@$(BIN)/python -m benchmarks all $(ARGS)

lock:  ## write requirements.lock anew from pyproject.toml (ARGS=--upgrade for newer versions)
	@$(UV) pip compile pyproject.toml --all-extras --group dev $(COMPILE) -o requirements.lock \
	$(ARGS) >/dev/null
	@echo uv | $(UV) pip compile - $(COMPILE) --no-annotate -o tools/uv.txt $(ARGS) >/dev/null
