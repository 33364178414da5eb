PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help demo test lint clean

help:  ## Show these lines
	@sed -n 's,^\([a-z]*\):.*## ,make \1 \t,p' $(MAKEFILE_LIST)

demo: $(READY)  ## Learn layer-wise symmetry from real digits; results in runs/demo
	$(BIN)/relaxeq demo

test: lint  ## Check style, types and the direction of imports, then run all tests
	$(BIN)/python -m pytest

lint: $(READY)  ## Check style, types and the direction of imports
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:  ## Remove the environment and all caches
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || \
		{ echo 'make: the locked versions need Python 3.11 or 3.12, and "$(PYTHON)" is none:' \
		'write make PYTHON=python3.11'; exit 1; }
	@echo 'Setting up .venv: about 5 GB, once, in a few minutes'
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install -qq --no-deps --only-binary :all: -r requirements.lock
	@$(BIN)/pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@
