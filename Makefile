# Everything runs in .venv, made from the hash-pinned lock with nothing but python3.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test check fuzz bench-git lock schemas clean coverage

demo: $(STAMP)  ## the main job over real HTTP: publish, sync, verify, resolve, refuse
	@$(BIN)/yoi-bundles demo $(DEMO_ARGS)

test: $(STAMP)  ## the whole test suite
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(STAMP)  ## what CI runs: style, types, layers, tests, whitespace
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(PYTEST_ARGS)
	git diff --check

coverage: $(STAMP)  ## the suite with branch coverage, child processes included
	rm -f .coverage .coverage.*
	$(BIN)/python -m coverage run -m pytest $(PYTEST_ARGS)
	$(BIN)/python -m coverage combine -q
	$(BIN)/python -m coverage report

FUZZ_SECONDS ?= 600
fuzz: $(STAMP)  ## every parser under atheris: FUZZ_SECONDS=600 in all, FUZZ_TARGETS="pack delta"
	$(BIN)/python -m fuzz --seconds $(FUZZ_SECONDS) $(FUZZ_ARGS) $(FUZZ_TARGETS)

bench-git: $(STAMP)  ## publish, full sync and one-file sync as ratios against git, in one run
	$(BIN)/python -m bench.against_git $(BENCH_ARGS)

schemas: $(STAMP)  ## write the JSON Schemas and OpenAPI documents that are committed
	$(BIN)/python -m yoi_bundles schema --write yoi_bundles/schemas
	$(BIN)/python -m yoi_bundles schema --openapi docs/openapi

lock:  ## pin every dependency with hashes; the file names no index
	$(BIN)/uv pip compile --universal --generate-hashes --no-annotate --no-header -p 3.11 \
	    --extra server --extra dev pyproject.toml -o requirements/dev.lock

$(STAMP): requirements/dev.lock requirements/uv.lock.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@if $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.lock.txt; then \
	    $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements/dev.lock && \
	    $(BIN)/uv pip install -q --python $(BIN)/python --no-build-isolation --no-deps -e . ; \
	else \
	    $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.lock && \
	    $(BIN)/python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e . ; \
	fi
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage*
