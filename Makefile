# `make demo` and `make test` set up what they need in .venv; `make bench` sets up the peers in .venv-bench.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench

.PHONY: demo test lint types check-imports unit wheel-test bench clean

demo: $(VENV)/.installed
	$(BIN)/shadowdiff demo

test: lint types check-imports unit

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

check-imports: $(VENV)/.installed-dev
	$(BIN)/lint-imports

unit: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# `make bench ONLY="scoring latency"` runs some of them.
bench: $(BENCH)/.installed
	$(BENCH)/bin/python -m benchmarks $(ONLY)

clean:
	rm -rf $(VENV) $(BENCH) dist build

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'

$(VENV)/.installed: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

# torch is pinned so that pip takes one small CPU build, not gigabytes of CUDA.
$(VENV)/.installed-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all]' --group dev
	touch $@ $(VENV)/.installed

$(BENCH)/bin/python:
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'

$(BENCH)/.installed: $(BENCH)/bin/python pyproject.toml constraints.txt
	$(BENCH)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[all]' --group bench
	touch $@
