# Every target does its own set-up, and is quick when that is done.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One stamp for each set of packages: what chatting and training need, and what tests and documents
# need too. A stamp stands for the whole set-up, so one that was interrupted is done again.
DEMO := $(VENV)/.anymodal-demo
READY := $(VENV)/.anymodal-ready

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-all docs lint nano nano-seen nano-heard clean

help:  ## list the targets
	@grep -hE '^[a-z-]+: .*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-9s %s\n", $$1, $$2 }'

demo: $(DEMO)  ## a conversation through every modality, as a page in demo-out/
	$(BIN)/anymodal demo --out demo-out

# Bytecode is written even where the environment says not to: both workers would compile all tests,
# and every process that a test starts would compile the package.
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(READY)  ## the quick tests, on two cores
	$(PYTEST)

test-all: $(READY)  ## all tests: documents, notebooks, a browser and Ray too; a missing tool is skipped and counted
	$(PYTEST) -m "extended or not extended" -rs

docs: $(READY)  ## the documents, as pages in docs/_build/html
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

lint: $(READY)  ## ruff, and mypy strict on the package
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy anymodal

STAGES := configs/stages/nano

nano: $(DEMO)  ## train the nano model from nothing; stop it and run it again to go on
	OMP_NUM_THREADS=1 $(MAKE) -j2 nano-seen nano-heard
	$(BIN)/anymodal train $(STAGES)/50-perceive.yaml $(STAGES)/60-express.yaml $(STAGES)/70-instruct.yaml $(STAGES)/71-converse.yaml
	$(BIN)/python -m anymodal.toybox.deepening runs/nano/converse/model runs/nano/deepened 8
	$(BIN)/anymodal train $(STAGES)/72-deeper.yaml $(STAGES)/73-practice.yaml
	$(BIN)/anymodal export runs/nano/practice/model anymodal/checkpoints/nano --licence apache-2.0

# Two halves that need nothing of each other, one core each and about equally long.
nano-seen: $(DEMO)
	$(BIN)/anymodal train $(STAGES)/10-picture-autoencoder.yaml $(STAGES)/20-image.yaml $(STAGES)/23-drawings.yaml $(STAGES)/21-video.yaml $(STAGES)/25-clips.yaml $(STAGES)/40-pictures.yaml $(STAGES)/41-bind.yaml
nano-heard: $(DEMO)
	$(BIN)/anymodal train $(STAGES)/11-sound-autoencoder.yaml $(STAGES)/22-audio.yaml $(STAGES)/12-sound-autoencoder.yaml $(STAGES)/24-sounds.yaml $(STAGES)/30-language.yaml $(STAGES)/31-conversations.yaml $(STAGES)/32-verdicts.yaml

clean:  ## remove what was built and cached; .venv and runs stay
	rm -rf build dist *.egg-info demo-out docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find anymodal encoders decoders tests examples docs -name __pycache__ -prune -exec rm -rf {} +

# setuptools comes first and under the same constraints, in place of an unpinned one for the build
# alone.
define install
	@$(PYTHON) -c 'import sys; sys.exit("AnyModal needs Python 3.11 or newer, and $(PYTHON) is %d.%d; run: make PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt setuptools
	$(BIN)/python -m pip install -c constraints.txt --no-build-isolation -e '.$(1)'
	$(BIN)/python -m anymodal.cli.torchaudio_fix
endef

$(DEMO): pyproject.toml constraints.txt
	$(call install)
	@touch $@

$(READY): pyproject.toml constraints.txt
	$(call install,[dev])
	@touch $(DEMO) $@
