# `make audit` and `make test` do all the set-up on a fresh machine: Python (3.11 or newer) and make
# are enough. The versions are those of constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: audit test lint docs clean

# What an audit needs. torch comes first and by itself: of its builds, pip then takes one for all.
.venv/audit: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) torch
	$(PIP) --editable .
	@touch $@

# What developing needs on top: tests, linters, docs.
.venv/dev: .venv/audit
	$(PIP) --editable '.[dev]'
	@touch $@

audit: .venv/audit
	$(BIN)/offmap audit --demo digits --out offmap-report

test: .venv/dev
	$(BIN)/python -m pytest -q -n auto

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

docs: .venv/dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

clean:
	rm -rf .venv site offmap-report
