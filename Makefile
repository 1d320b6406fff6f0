# Everything that a person or CI does here. `make demo` and `make test` need nothing but python3 (3.11.4 to 3.13).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
MATRIX ?= tiny-v1
DEVICE ?= cpu
# Spinning OpenMP threads cost 3-5x on a shared machine.
export OMP_WAIT_POLICY := PASSIVE
# Tests start Python many times: compiled modules are kept.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

help: ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.installed ## make the virtual environment

$(VENV)/.installed: pyproject.toml requirements/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint requirements/constraints.txt --editable '.[dev]'
	@touch $@

demo: setup ## real detectors on real images in 5 minutes: matrix tiny-v1
	$(BIN)/oodbench run tiny-v1 --workers $(WORKERS) --cache build/demo/cache \
		--results build/demo/results --leaderboard build/demo/leaderboard.md

test: lint fast ## lint, types, import floors and the fast suite

lint: setup ## ruff, mypy, import floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fast: export OMP_NUM_THREADS := 1 # a worker a core
fast: setup ## the fast suite
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not processes and not slow and not claims and not gpu"

processes: export OMP_NUM_THREADS := 1
processes: setup ## whole runs, and processes that are killed, interrupted, gone on with
	$(BIN)/python -m pytest -n $(WORKERS) -m processes

thousand: export OMP_NUM_THREADS := 1
thousand: setup ## every detector of logits and features with a thousand classes
	$(BIN)/python -m pytest tests/methods/test_a_thousand_classes.py -n $(WORKERS) -m slow

claims: setup ## the papers' claims, on real data; minutes
	$(BIN)/python -m pytest -m "claims or slow"

tutorial: setup ## run docs/judge-your-classifier.md as it stands; gets its checkpoint from the package index
	$(BIN)/python -m pytest tests/test_tutorial.py

walk: setup ## run the walk of CONTRIBUTING.md line by line in a fresh environment, with a package of its own, too
	$(BIN)/python -m pytest tests/walk/test_walk.py -m slow -s

prove: setup ## plant a regression in a copy of this repository, and see that make nightly finds it
	$(BIN)/python -m pytest tests/walk/test_nightly.py -m slow -s

ORACLES := torchattacks==3.5.1 pyautoattack==0.2.0 imagecorruptions==1.1.2 opencv-python-headless==5.0.0.93 numba==0.68.1 llvmlite==0.50.0
oracles: setup ## attacks and corruptions against the libraries that others use, installed apart
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target build/oracles $(ORACLES)
	PYTHONPATH=build/oracles $(BIN)/python -c "import torchattacks, pyautoattack, cv2"
	PYTHONPATH=build/oracles $(BIN)/python -m pytest tests/attacks/test_oracles.py tests/corruptions/test_against_imagecorruptions.py

cluster: export OMP_NUM_THREADS := 1
cluster: setup ## two nodes of Ray on this machine, one dies; a local S3 server; installs ray, obstore, moto
	$(BIN)/python -m pip install --quiet --editable '.[ray,s3]' 'moto[server]>=5'
	$(BIN)/python -m pytest tests/run/test_ray.py tests/run/test_depot.py tests/run/test_shared.py

browser: $(VENV)/.browser ## the board in a real Chromium: axe-core, no request leaves, all that it does; gets one where there is none
	chromium=$$(.ci/chromium $(BIN)/python) && \
		OODBENCH_BROWSER=$$chromium $(BIN)/python -m pytest tests/site/test_browser.py -n $(WORKERS) --durations=3

$(VENV)/.browser: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint requirements/constraints.txt --editable '.[browser]'
	@touch $@

gpu: setup ## every method on a GPU against the CPU, memory, speed; renews the table of docs/many-gpus.md
	OODBENCH_GPU_TABLE=docs/many-gpus.md $(BIN)/python -m pytest tests/gpu -rs

bench: setup ## speed and memory, as ratios within one run
	$(BIN)/python -m pytest benchmarks -s --benchmark-columns=median,iqr,rounds

DOCS_VENV ?= .venv-docs
export NO_MKDOCS_2_WARNING := 1

# Neither torch nor oodbench itself is installed: the pages are made of text, and the reference of source that is read, not imported.
$(DOCS_VENV)/.installed: pyproject.toml requirements/constraints.txt
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python docs/make/extra.py | xargs $(DOCS_VENV)/bin/python -m pip install --quiet --constraint requirements/constraints.txt
	@touch $@

docs: $(DOCS_VENV)/.installed ## the documentation as a site: build/docs/site/index.html
	$(DOCS_VENV)/bin/python docs/make/pages.py build/docs/pages
	$(DOCS_VENV)/bin/mkdocs build --quiet --strict
	$(DOCS_VENV)/bin/python docs/make/tables.py build/docs
	$(DOCS_VENV)/bin/python docs/make/built.py build/docs/site

golden: export OMP_NUM_THREADS := 1
golden: setup ## write the golden scores of methods whose version moved
	$(BIN)/python tests/golden/make_scores.py

leaderboard: setup ## rebuild leaderboard.md, docs/claims.md and docs/diagnostics.md from what is stored
	$(BIN)/oodbench table
	$(BIN)/oodbench claims
	$(BIN)/oodbench diagnostics

gallery: setup ## renew the table of contents in methods/__init__.py, methods/rows.csv and declared.json
	$(BIN)/python -m oodbench.run.gallery

pins: setup ## renew what oodbench verify holds data, claims and papers' numbers against; review what changes
	$(BIN)/python -m oodbench.verify.pins results

catalogue: setup ## write docs/verify.md from the catalogue of forgeries
	$(BIN)/python -m tests.verify.page

format: setup ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

NIGHT := build/nightly
BASELINE ?= results

nightly: setup ## run MATRIX (tiny-v1) anew on DEVICE (cpu), METHODS of it, and compare with those in BASELINE (results)
	rm -rf $(NIGHT)
	$(BIN)/oodbench run $(MATRIX) $(if $(METHODS),--methods $(METHODS)) --device $(DEVICE) \
		$(if $(filter cpu,$(DEVICE)),--workers $(WORKERS)) --cache $(NIGHT)/cache --results $(NIGHT)/results
	mkdir -p $(NIGHT)/committed/$(MATRIX)
	cd $(NIGHT)/results/$(MATRIX) && for row in */; do \
		cp -r $(abspath $(BASELINE))/$(MATRIX)/$$row ../../committed/$(MATRIX)/; done
	$(BIN)/oodbench compare $(NIGHT)/committed $(NIGHT)/results --fail-on regression \
		--markdown $(NIGHT)/comparison.md --json $(NIGHT)/comparison.json

SHARE ?= 0.02

sample: setup ## make a random SHARE (0.02) of MATRIX's records again on DEVICE, and note in results/reruns.csv what came of it
	$(BIN)/oodbench verify results/$(MATRIX) --rerun $(SHARE) --device $(DEVICE) \
		$(if $(filter cpu,$(DEVICE)),--workers $(WORKERS)) --history results/reruns.csv

CHARTS := bench/oodbench/site/charts
PLOT := bench/oodbench/site/assets/plot.js

site: setup $(PLOT) ## write the leaderboard as static pages to build/site
	$(BIN)/oodbench site

$(PLOT): $(wildcard $(CHARTS)/*.json $(CHARTS)/*.mjs)
	@cd $(CHARTS) && npm ci --silent --no-audit --no-fund && npm run --silent build \
		|| echo "npm did not make $@: the board's pages get no pictures" >&2

wheel: setup $(PLOT) ## build the wheel and look into it
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## remove what was built; the virtual environment stays
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache

.PHONY: help setup demo test lint fast processes thousand claims tutorial walk prove cluster browser gpu bench docs golden leaderboard gallery pins catalogue format nightly sample site wheel clean
