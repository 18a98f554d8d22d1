# The two commands that matter: `make lab` and `make test`. Everything happens in .venv, from requirements.lock.

PYTHON  ?= python3
WORKERS ?= 2#           processes that run tests or notebooks side by side; they share the cores
TORCH   ?= 2.13.0#      the release `make lock` pins
LAB_ARGS ?=#            for instance  make lab LAB_ARGS="--no-browser --port 8899"
NOTEBOOKS ?=#           for instance  make notebooks NOTEBOOKS=notebooks/03_forward.ipynb

# Threads that wait sleep instead of spinning: on busy cores torch's training is ten times faster for it.
export OMP_WAIT_POLICY ?= PASSIVE

BIN   := .venv/bin
READY := .venv/.ready
SHARE := -n $(WORKERS) --dist loadfile --no-loadscope-reorder#  in the order of tests/conftest.py

.PHONY: help lab test quick lint format unit nbval browser notebooks gallery train bench lock clean
.DEFAULT_GOAL := help
.NOTPARALLEL:

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; \
		do printf '  make %-10s %s\n' "$$name" "$$what"; done

lab: $(READY)  ## install what is missing, then open JupyterLab on your copy of the notebooks
	$(BIN)/python lab.py $(LAB_ARGS)

test: lint unit nbval browser  ## everything: style, types, unit tests, strict notebooks, browser (a quarter of an hour on 2 quiet cores)

quick: lint  ## while you work: style, and the unit tests that take no time (a minute and a half on 2 cores)
	$(BIN)/python -m pytest tests -m "not browser and not slow" $(SHARE)

lint: $(READY)  ## style and types (make format mends most of the style)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check --python-interpreter-path $(BIN)/python --output-format min-text

format: $(READY)  ## lay the code out and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

unit: $(READY)  ## the tests without notebooks and browser
	$(BIN)/python -m pytest tests -m "not browser" $(SHARE) --durations=10

nbval: $(READY)  ## run every notebook, the student's and the one with solutions, and compare each output with the stored one
	$(BIN)/python tests/building.py
	$(BIN)/python -m pytest notebooks build/solved -p tests.nbtools --nbval --nbval-current-env --nbval-cell-timeout=300 \
		-n $(WORKERS) --dist loadscope --durations=10

browser: $(READY)  ## the explorers in JupyterLab, in headless Chromium
	$(BIN)/python -m pytest tests/browser tests/test_pictures.py -m browser $(SHARE) --durations=10

notebooks: $(READY)  ## make the notebooks from notebooks/source and run them; then solutions and slides, in build/
	$(BIN)/python tests/nbtools.py $(NOTEBOOKS)
	$(BIN)/python tests/building.py
	$(BIN)/python -m diffusion_lab slides build/slides

gallery: $(READY)  ## take the README's pictures of every explorer anew, light and dark (look at them)
	$(BIN)/python tests/gallery.py

NETWORKS := $(basename $(notdir $(wildcard diffusion_lab/pretrained/*.json)))
# Two rows of experiments that run side by side, each on a core of its own; in a row the order matters
SHAPES := applications.autoencoder experiments.latent_networks experiments.latent_kl experiments.latent_mistakes \
	experiments.learned_to_say experiments.said experiments.rivals
DIGITS := experiments.precompute experiments.taken_away experiments.architectures experiments.rivals_digits \
	experiments.augmented_exactly experiments.augmented experiments.own_samples

train: $(NETWORKS:%=build/train/network.%) build/train/replay build/train/features  ## train all that is in diffusion_lab/pretrained/ again (some two hours; stopped, it goes on)
	+@$(MAKE) $(SHAPES:%=build/train/%) & other=$$!; $(MAKE) $(DIGITS:%=build/train/%); one=$$?; wait $$other && exit $$one
	@rm -r build/train

# One empty file for each part that is done, until all of them are
build/train/network.%: $(READY)
	$(BIN)/python -m diffusion_lab train $* --out diffusion_lab/pretrained \
		$(if $(wildcard diffusion_lab/pretrained/$*.checkpoint),--resume)
	@mkdir -p $(@D); touch $@

build/train/%: $(READY)
	$(BIN)/python -m diffusion_lab.$*
	@mkdir -p $(@D); touch $@

bench: $(READY)  ## run every benchmark
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; ok = sys.version_info >= (3, 11); ok or print("diffusion_lab needs Python 3.11 or newer, and $(PYTHON) is", sys.version.split()[0], "- try: make lab PYTHON=python3.12"); sys.exit(not ok)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# uv resolves for every platform at once (hence the markers) and is needed for nothing else. The CUDA libraries
# are left out: where pip picks a CUDA build of torch, that build names its own.
lock:  ## resolve requirements.lock afresh from pyproject.toml
	@set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	$(PYTHON) -m venv "$$dir/uv"; "$$dir/uv/bin/pip" install -q uv; \
	echo "torch==$(TORCH)" > "$$dir/constraints.txt"; \
	"$$dir/uv/bin/uv" pip compile -q --universal --python-version 3.11 --fork-strategy fewest --extra test \
		--constraint "$$dir/constraints.txt" --no-annotate --no-header pyproject.toml -o "$$dir/lock"; \
	{ echo "# Every package of the project, for every platform. Made by \`make lock\`; do not edit by hand."; \
	  grep -Ev '^(nvidia|cuda|triton)' "$$dir/lock"; } > requirements.lock
	@sed -i.bak 's/^torch==.*/torch==$(TORCH)+cpu/' binder/requirements.txt && rm binder/requirements.txt.bak
	@grep -c '==' requirements.lock | sed 's/$$/ packages pinned in requirements.lock/'

clean:  ## remove caches and builds (rm -rf .venv for the rest)
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . \( -path ./.venv -o -path ./my_notebooks \) -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -exec rm -rf {} +
