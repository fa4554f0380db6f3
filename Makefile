# Everything runs in .venv, made from the hash-pinned lock with nothing but python3.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test check long fuzz bench bench-quick lock schemas clean coverage dist floors newest corpus changelog lint-deploy docs api

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

LONG_TIMES   ?= 10
FUZZ_SECONDS ?= 600
long: $(STAMP)  ## the suite ten times as deep: examples, power losses, ten minutes of fuzzing
	TEST_TIMES=$(LONG_TIMES) FUZZ_SECONDS=$(FUZZ_SECONDS) \
	    $(BIN)/python -m pytest --timeout=3600 $(PYTEST_ARGS)
	$(MAKE) coverage-floors

coverage: $(STAMP)  ## the suite with branch coverage, child processes included
	rm -f .coverage .coverage.*
	$(BIN)/python -m coverage run -m pytest $(PYTEST_ARGS)
	$(BIN)/python -m coverage combine -q
	$(BIN)/python -m coverage report

# A process that a test kills leaves a file of data that cannot be read: it is no fault.
COVERAGE_FLOORS := store=95 cli=85
.PHONY: coverage-floors
coverage-floors: $(STAMP)  ## branches that tests/unit, tests/contract and tests/cli reach, by module
	rm -f .coverage .coverage.*
	$(BIN)/python -m coverage run -m pytest tests/unit tests/contract tests/cli $(PYTEST_ARGS)
	$(BIN)/python -m coverage combine -q
	rm -f .coverage.*
	@status=0; for floor in $(COVERAGE_FLOORS); do \
	    echo "$$floor or more of a hundred:"; \
	    $(BIN)/python -m coverage report --no-skip-covered --precision=1 \
	        --include="yoi_bundles/$${floor%=*}/*" --fail-under="$${floor#*=}" || status=$$?; \
	done; exit $$status

fuzz: $(STAMP)  ## every parser under atheris: FUZZ_SECONDS=600 in all, FUZZ_TARGETS="pack delta"
	$(BIN)/python -m fuzz --seconds $(FUZZ_SECONDS) $(FUZZ_ARGS) $(FUZZ_TARGETS)

BENCH_STAMP := $(VENV)/.installed-bench
bench: $(BENCH_STAMP)  ## every target against git and the other peers: BENCH_ARGS="--only resolve"
	$(BIN)/python -m bench $(BENCH_ARGS)

bench-quick: $(BENCH_STAMP)  ## the same in small, in under three minutes: shows that all is measured
	$(BIN)/python -m bench --quick $(BENCH_ARGS)

# The peers are no part of the project: they come with the first benchmark, not before. One of them
# needs a package that has no wheel; it is built with the setuptools of the lock.
$(BENCH_STAMP): $(STAMP) requirements/bench.lock
	@if [ -x $(BIN)/uv ]; then \
	    $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes \
	        --no-build-isolation-package antlr4-python3-runtime -r requirements/bench.lock ; \
	else \
	    $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes \
	        --no-build-isolation -r requirements/bench.lock ; \
	fi
	@touch $@

dist: $(STAMP)  ## sdist and wheel into dist/, looked into, the wheel tried in a fresh environment
	$(BIN)/python -m tools.dist

# Linters of files that are not Python; an environment of their own, as nobody else needs them.
LINT := build/venvs/lint
$(LINT)/.installed: $(STAMP) requirements/lint.lock
	$(PYTHON) -m venv $(LINT)
	$(LINT)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/lint.lock
	@touch $@

lint-deploy: $(LINT)/.installed  ## the image, the compose file, the workflow and the hooks against their linters and schemas
	$(LINT)/bin/hadolint deploy/Containerfile
	$(LINT)/bin/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	$(LINT)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/ci.yml
	$(LINT)/bin/zizmor --offline --quiet .github/workflows/ci.yml
	$(LINT)/bin/pre-commit validate-config

changelog: $(STAMP)  ## the next section of CHANGELOG.md; with VERSION=X.Y.Z it is written, and fragments go
	$(BIN)/towncrier build $(if $(VERSION),--yes --version $(VERSION),--draft --version next)

corpus: $(STAMP)  ## every hostile case as a file, with a manifest for other implementations: build/corpus
	$(BIN)/python -m tools.corpus $(CORPUS_ARGS)

floors: $(STAMP)  ## the demo and the marked tests on the lowest versions that pyproject.toml allows
	$(BIN)/python -m tools.floors lowest

newest: $(STAMP)  ## the same on the newest versions that can be had today
	$(BIN)/python -m tools.floors newest

schemas: $(STAMP)  ## write the JSON Schemas and OpenAPI documents that are committed
	$(BIN)/python -m yoi_bundles schema --write yoi_bundles/schemas
	$(BIN)/python -m yoi_bundles schema --openapi docs/openapi

api: $(STAMP)  ## write docs/api.json, which holds the public API, and show what differs
	$(BIN)/python -m tools.api --write

lock:  ## pin every dependency with hashes; the file names no index
	$(BIN)/uv pip compile --universal --generate-hashes --no-annotate --no-header -p 3.11 \
	    --extra server --extra dev pyproject.toml -o requirements/dev.lock
	$(BIN)/uv pip compile --universal --generate-hashes --no-annotate --no-header -p 3.11 \
	    -c requirements/dev.lock requirements/bench.in -o requirements/bench.lock
	$(BIN)/uv pip compile --universal --generate-hashes --no-annotate --no-header -p 3.11 \
	    -c requirements/dev.lock --extra server pyproject.toml -o requirements/server.lock
	@mkdir -p build
	echo flit-core | $(BIN)/uv pip compile --universal --generate-hashes --no-annotate --no-header -p 3.11 \
	    -c requirements/dev.lock - -o requirements/build.lock
	$(BIN)/uv pip compile --universal --generate-hashes --no-annotate --no-header -p 3.11 \
	    requirements/lint.in -o requirements/lint.lock
	$(BIN)/uv pip compile --universal --generate-hashes --no-annotate --no-header -p 3.11 \
	    requirements/docs.in -o requirements/docs.lock
	sed -nE 's/^(flit-core|hypothesis|pytest|pytest-randomly|pytest-timeout)(==[^ ]+) .*/\1\2/p' \
	    requirements/dev.lock > build/floors.in
	$(BIN)/uv pip compile -U --resolution lowest-direct --universal --generate-hashes --no-annotate \
	    --no-header -p 3.11 --extra server pyproject.toml build/floors.in -o requirements/lowest.lock

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

DOCS_VENV  := build/docs-venv
DOCS_STAMP := $(DOCS_VENV)/.installed
docs: $(STAMP) $(DOCS_STAMP)  ## the site of all documents and pages of the API, in build/site
	PYTHONPATH=. $(DOCS_VENV)/bin/python -m tools.site

$(DOCS_STAMP): requirements/docs.lock
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install -q --disable-pip-version-check --require-hashes \
	    -r requirements/docs.lock
	@touch $@
