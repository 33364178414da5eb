PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
PEERS := .venv-peers/.ready

.PHONY: help demo test test-peers lint clean

help:  ## Show these lines
	@sed -n 's,^\([a-z-]*\):.*## ,make \1 \t,p' $(MAKEFILE_LIST)

demo: $(READY)  ## Learn layer-wise symmetry from real digits; results in runs/demo
	$(BIN)/relaxeq demo

test: lint  ## Check style, types and the direction of imports, then run all tests
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist worksteal

test-peers: $(PEERS)  ## Test the bridges to libraries that cannot share an environment with ours
	.venv-peers/bin/python -m pytest tests/peers

lint: $(READY)  ## Check style, types and the direction of imports
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:  ## Remove the environment and all caches
	rm -rf .venv .venv-peers build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || \
		{ echo 'make: the locked versions need Python 3.11 or 3.12, and "$(PYTHON)" is none:' \
		'write make PYTHON=python3.11'; exit 1; }
	@echo 'Setting up .venv: about 5 GB, once, in a few minutes'
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install -qq --no-deps --only-binary :all: -r requirements.lock
	@$(BIN)/pip install -qq --no-deps --no-build-isolation --editable .
	@touch $@

# The peers see the packages of .venv through a path file: torch is there once. Their own come first.
$(PEERS): experiments/peers/requirements.lock | $(READY)
	@$(BIN)/python -m venv --clear .venv-peers
	@.venv-peers/bin/pip install -qq --no-deps --only-binary :all: -r $<
	@realpath .venv/lib/python3.*/site-packages > $$(echo .venv-peers/lib/python3.*/site-packages)/main.pth
	@touch $@
