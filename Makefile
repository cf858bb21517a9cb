# make demo   runs the main job on a local platform          make test   runs all tests
# make check  what CI checks before the tests                make lock   renews the locks (needs uv)
# make fuzz   tries properties with FUZZ=20 times as many examples as `make test` does
# Everything lives in .venv; nothing is installed elsewhere, and no root is needed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check
ARGS   ?=
FUZZ   ?= 20

.PHONY: demo test check e2e fuzz bench bench-detectors lock clean help

help:
	@sed -n 's/^# //p' Makefile

demo: $(VENV)/.runtime
	@$(BIN)/segwatch demo $(ARGS)

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -n 4 --dist worksteal $(ARGS)

e2e: $(VENV)/.dev
	@$(BIN)/python -m pytest -n 4 --dist worksteal tests/e2e $(ARGS)

fuzz: $(VENV)/.dev
	@FUZZ=$(FUZZ) $(BIN)/python -m pytest -n 4 --dist worksteal -m hypothesis $(ARGS)

check: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/deptry segwatch
	@$(BIN)/codespell

bench: $(VENV)/.dev
	@$(BIN)/python benchmarks/calls.py $(ARGS)

bench-detectors: $(VENV)/.dev
	@$(BIN)/python benchmarks/detectors.py $(ARGS)

$(VENV)/bin/python:
	@$(PYTHON) -m venv $(VENV) || { echo "python3 needs its venv module: on Debian, install python3-venv" >&2; exit 1; }

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing segwatch into $(VENV) ..." >&2
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "installing the test tools into $(VENV) ..." >&2
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# Both locks hold names, versions and hashes, and no address: whoever installs uses the index that is set up there.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --upgrade pyproject.toml --extra apprise --extra emulator -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --upgrade pyproject.toml --extra apprise --extra emulator --group dev -o requirements-dev.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
