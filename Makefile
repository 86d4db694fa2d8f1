# Every target does its own set-up, and is quick when that is done.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.anymodal-ready

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test lint nano clean

help:  ## what there is to make
	@grep -hE '^[a-z]+: .*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-6s %s\n", $$1, $$2 }'

demo: $(READY)  ## a conversation through every modality, as a page in demo-out/
	$(BIN)/anymodal demo --out demo-out

test: $(READY)  ## the tests, on two cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(READY)  ## ruff, and mypy strict on the package
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy anymodal

nano: $(READY)  ## train the nano model from nothing; stop it and run it again to go on
	$(BIN)/anymodal train configs/stages/nano/*.yaml
	$(BIN)/anymodal export runs/nano/instruct/model anymodal/checkpoints/nano

clean:  ## remove what was built and cached; .venv and runs stay
	rm -rf build dist *.egg-info demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find anymodal encoders decoders tests examples -name __pycache__ -prune -exec rm -rf {} +

# The stamp stands for the whole set-up, so one that was interrupted is done again. setuptools comes
# first and under the same constraints, in place of an unpinned one for the build alone.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("AnyModal needs Python 3.11 or newer, and $(PYTHON) is %d.%d; run: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt setuptools
	$(BIN)/python -m pip install -c constraints.txt --no-build-isolation -e '.[dev]'
	$(BIN)/python -m anymodal.torchaudio_fix
	@touch $@
