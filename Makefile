# The two commands of the README: `make demo` and `make test`. Both make .venv when it is not there.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# Real images and recorded trainings for the tests that want them; without it those tests skip and say so.
export TAURANK_DATA ?= $(wildcard $(CURDIR)/../shared/data)

.PHONY: demo test lint format clean

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

demo: $(READY)
	$(BIN)/taurank run quickstart

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	# Two processes: half of the slow tests wait for Ray. A file stays in one, for its fixtures.
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
