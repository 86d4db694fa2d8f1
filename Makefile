# Every target does its own set-up, and is quick when that is done.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.anymodal-ready

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test lint nano nano-seen nano-heard clean

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

STAGES := configs/stages/nano

nano: $(READY)  ## train the nano model from nothing; stop it and run it again to go on
	OMP_NUM_THREADS=1 $(MAKE) -j2 nano-seen nano-heard
	$(BIN)/anymodal train $(STAGES)/50-perceive.yaml $(STAGES)/60-express.yaml $(STAGES)/70-instruct.yaml
	$(BIN)/anymodal export runs/nano/instruct/model anymodal/checkpoints/nano --licence apache-2.0

# Two halves that need nothing of each other, one core each.
nano-seen: $(READY)
	$(BIN)/anymodal train $(STAGES)/10-picture-autoencoder.yaml $(STAGES)/20-image.yaml $(STAGES)/21-video.yaml
nano-heard: $(READY)
	$(BIN)/anymodal train $(STAGES)/11-sound-autoencoder.yaml $(STAGES)/22-audio.yaml $(STAGES)/30-language.yaml $(STAGES)/31-conversations.yaml $(STAGES)/32-verdicts.yaml $(STAGES)/40-pictures.yaml $(STAGES)/41-bind.yaml

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
	$(BIN)/python -m anymodal.cli.torchaudio_fix
	@touch $@
