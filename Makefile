# The two commands of the README: `make demo` and `make test`. Both create .venv if it is missing.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# Real images and recorded trainings for the tests that use them; without them these tests are skipped with a message.
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

# One thread per process: more threads than cores slow each other down.
test: export OMP_NUM_THREADS ?= 1
test: lint
	# Two processes: half of the slow tests wait for Ray. All tests of a file share one process, for its fixtures.
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
