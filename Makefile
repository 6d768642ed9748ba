# The face of the project: bare `make` lists the targets. ARGS= passes through to the command behind a target, and so
# does CONFIG= (one or more YAML files, later ones win) where it takes configs; `make -n TARGET` shows the command.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test lint data train-vae train-ar sample serve eval report bench bench-data clean

PYTHON ?= python3
BUDGET ?= 15
STAMP := .venv/.stamp
RUN := .venv/bin/python -m
FLAGS = $(CONFIG:%=--config %) $(ARGS)

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP)  ## Create .venv with the tested versions (every target does it, once)

demo: $(STAMP)  ## Data, training, images, scores and report, BUDGET=15 minutes in all
	$(RUN) lit_modules demo --budget $(BUDGET) $(ARGS)

test: $(STAMP)  ## Run the tests (ARGS= for pytest)
	OMP_NUM_THREADS=1 $(RUN) pytest -n 2 --dist worksteal -m "not slow" $(ARGS)

lint: $(STAMP)  ## Check style, spelling and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/codespell
	.venv/bin/basedpyright

data: CONFIG ?= configs/data/shapesworld_basic.yaml
data: $(STAMP)  ## Render or fetch a data set and pack it into shards
	$(RUN) datamodules prepare $(FLAGS)

train-vae: CONFIG ?= configs/vae/shapesworld_basic.yaml
train-vae: $(STAMP)  ## Train a tokenizer
	$(RUN) lit_modules vae fit $(FLAGS)

train-ar: CONFIG ?= configs/ar/shapesworld_basic.yaml
train-ar: $(STAMP)  ## Train a transformer on a trained tokenizer's bits
	$(RUN) lit_modules ar fit $(FLAGS)

sample: $(STAMP)  ## Draw images from prompts
	$(RUN) infinity generate $(ARGS)

serve: $(STAMP)  ## Serve a web page that draws images (port 7860 of this machine)
	$(RUN) infinity serve $(ARGS)

eval: $(STAMP)  ## Score a model
	$(RUN) evaluation run $(ARGS)

report: $(STAMP)  ## Write report.html from scores
	$(RUN) evaluation report $(ARGS)

bench: $(STAMP)  ## Time the parts of training and sampling
	$(RUN) evaluation bench $(ARGS)

bench-data: $(STAMP)  ## Time the loader, and starting with 10^8 samples
	$(RUN) datamodules bench $(ARGS)

clean:  ## Remove .venv and caches; data/ and runs/ stay
	rm -rf .venv build ./*.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip's output, shortened to how far it is; the whole of it is kept in .venv/setup.log.
PIP_PROGRESS = n=0; while read -r word what rest; do case "$$word $$what" in \
  Collecting\ * | Processing\ *) n=$$((n + 1)); what=$${what\#\#*/}; what=$${what%%[=<>!~;]*}; \
    echo "  $$n $${what%%-[0-9]*}" ;; \
  Installing\ collected) echo "  unpacking, which takes minutes" ;; ERROR:\ *) echo "$$word $$what $$rest" ;; esac; done

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || { \
	  echo "Python 3.11 or newer is needed, but $(PYTHON) is $$($(PYTHON) -V 2>&1 || true);" \
	    "name another one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Setting up .venv, once (several GB with torch: minutes)"
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --progress-bar off --disable-pip-version-check \
	  -c constraints.txt -e '.[dev]' 2>&1 | tee .venv/setup.log | { $(PIP_PROGRESS); }
	@# OCR by itself: it asks for an OpenCV that needs a screen's libraries and lies in the other one's folder
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check \
	  -c constraints.txt --no-deps rapidocr-onnxruntime
	@touch $@
