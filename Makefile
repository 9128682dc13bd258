# The two commands of the README: `make demo` and `make test`. Both create .venv if it is missing.
# `make docs` builds the documentation site, with its links checked, to build/docs. Its search needs a server, such as
# `python -m http.server -d build/docs`.
# `make test` takes minutes and shows whether the product works; `make test-all` adds the tests it leaves out.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DOCS   := $(VENV)/.docs

# Real images and recorded trainings for the tests that use them; without them these tests are skipped with a message.
export TAURANK_DATA ?= $(wildcard $(CURDIR)/../shared/data)

.PHONY: demo docs test test-rest test-all lint format clean

$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

demo: $(READY)
	$(BIN)/taurank run quickstart

$(DOCS): $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@

docs: export NO_MKDOCS_2_WARNING := 1
docs: $(DOCS)
	$(BIN)/mkdocs build --strict -f docs/site/mkdocs.yml

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# One thread per process: more threads than cores slow each other down.
test test-rest: export OMP_NUM_THREADS ?= 1
# Two processes: half of the tests with Ray wait for it. All tests of a file share one process, for its fixtures.
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder
REST   := (ray or slow or grid or fuzz) and not smoke

test: lint
	$(PYTEST) -m "not ($(REST))" --hypothesis-profile=quick

test-rest: $(READY)
	$(PYTEST) -m "$(REST)"

test-all:
	$(MAKE) test
	$(MAKE) test-rest

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
