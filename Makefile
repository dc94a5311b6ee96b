# Everything a newcomer types. Needs Python 3.11 or newer and make; nothing else, no root.
# "make" alone lists the targets.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
# Tests that run at the same time; they share the machine with the servers they start.
TEST_PROCESSES ?= 2

.DEFAULT_GOAL := help
.PHONY: help run test lint types contracts migrations package bench evaluate check format clean python-found

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.installed ## Start everything and print the address (Ctrl-C stops it)
	@exec $(BIN)/paperlark serve

test: $(VENV)/.installed-for-tests ## Run all tests
	$(BIN)/python -m pytest -q -n $(TEST_PROCESSES) --dist loadgroup $(TESTS)

lint: $(VENV)/.installed-for-tests ## Check style and form
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-for-tests ## Check types
	$(BIN)/mypy

contracts: $(VENV)/.installed-for-tests ## Check that imports run one way
	$(BIN)/lint-imports

migrations: $(VENV)/.installed-for-tests ## Up, check, down, up on SQLite and Postgres
	$(BIN)/python -m pytest -q tests/integration/test_migrations.py

package: $(VENV)/.installed-for-tests ## Build the wheel and try it in an empty environment
	.ci/check-wheel

bench: $(VENV)/.installed-for-tests ## Measure
	@for file in benchmarks/[a-z]*.py; do \
		echo "== $$file"; $(BIN)/python -m benchmarks.$$(basename $$file .py) || exit 1; done

evaluate: $(VENV)/.installed-for-evaluation ## Measure how good the ranking is, on the recorded data (ARGS="--task trending")
	$(BIN)/python -m benchmarks.evaluation $(ARGS)

check: lint types contracts migrations test package ## All checks and all tests

format: $(VENV)/.installed-for-tests ## Put the code into form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove what was made here, but not the data folder
	rm -rf $(VENV) dist build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

python-found:
	@test -n "$(PYTHON)" || { echo "Paperlark needs Python 3.11 or newer, and no 'python3' here is (python3: \
	$$(python3 --version 2>&1)). Install one, or name it: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }

# The stamps are newer than what they were made from: pip runs only when that has changed.
$(BIN)/python: | python-found
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Could not make $(VENV). On Debian and Ubuntu: \
	apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-for-tests: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test]"
	@touch $(VENV)/.installed $@

$(VENV)/.installed-for-evaluation: $(VENV)/.installed-for-tests
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[test,evaluate]"
	@touch $@
