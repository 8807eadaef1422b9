PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run test test-slow check format cards help-pages notebook docs docs-serve bench faults release clean

help:  ## Explain the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-10s %s\n", $$1, $$2 }'

run: .venv/run  ## Train the toy English-Korean translator, translate with it, and let Alice's model write
	@$(BIN)/python -m zoo fit --config configs/toy_en_ko.yaml --run_dir runs/toy_en_ko/$$(date +%Y-%m-%d_%H-%M-%S) && \
	run=$$(ls -td runs/toy_en_ko/*/ | head -1) && \
	echo && echo "The six words, and two misspelt ones:" && \
	$(BIN)/python -m zoo predict --ckpt_path $${run}checkpoints/best.ckpt \
	  --data.predict_inputs '[word, wood, game, girl, kiss, love, wodr, loev]' && \
	echo && echo "Now a model that comes with the package, trained on Alice in Wonderland:" && echo && \
	$(BIN)/python -m zoo generate char_lm_lstm.alice_heldout --prompt "alice was" --length 400 --temperature 0.5 && \
	echo && echo "What to try next:" && \
	echo "  $(BIN)/python -m zoo list" && \
	echo "  look at $${run}samples.png and $${run}curves.png" && \
	echo "  $(BIN)/python -m zoo predict --ckpt_path $${run}checkpoints/best.ckpt --data.predict_inputs '[gril]'" && \
	echo "  $(BIN)/python -m zoo fit --config configs/addition.yaml        learn to add, in 7 minutes" && \
	echo "  $(BIN)/python -m zoo fit --config configs/alice_lstm.yaml      learn to write like Lewis Carroll" && \
	echo "  $(BIN)/python -m zoo --help"

test: .venv/test  ## Run the tests, offline, one worker for each core (5 minutes on two)
	$(BIN)/python -m pytest

test-slow: .venv/test  ## Run the trainings among the tests
	$(BIN)/python -m pytest -m slow --dist loadgroup

check: .venv/dev  ## Check versions, format, lint, types and who imports whom
	$(BIN)/python tests/versions.py
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 0 tests/test_layers.py
	$(BIN)/python benchmarks/cards.py --check
	$(BIN)/python benchmarks/help_pages.py --check
	$(BIN)/python benchmarks/cells_page.py --check
	$(BIN)/python benchmarks/export.py --check

format: .venv/dev  ## Format the code, and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

cards: .venv/run  ## Write the README's table and the models' cards from benchmarks/results.csv
	$(BIN)/python benchmarks/cards.py

help-pages: .venv/run  ## Write the help pages of fit, validate, test and predict from the parsers and docstrings
	$(BIN)/python benchmarks/help_pages.py

notebook: .venv/test  ## Execute the notebook in docs, and store its outputs
	$(BIN)/python tests/notebook.py

docs: .venv/docs  ## Run the examples of pages and docstrings, build the site into site/, and walk it (3 minutes)
	$(BIN)/python -m pytest tests/test_docs.py tests/test_readme.py zoo datamodules
	$(BIN)/python -m website

docs-serve: .venv/docs  ## Show the site that make docs built, or build it first
	$(BIN)/python -m website --serve

bench: .venv/test  ## Measure training, generation, start-up, exports and serving (half an hour; MNIST and two books in the cache)
	$(BIN)/python benchmarks/training_loop.py
	$(BIN)/python benchmarks/generation.py
	$(BIN)/python benchmarks/translation.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/runtime.py
	$(BIN)/python benchmarks/serving.py
	$(BIN)/python benchmarks/data.py 100
	$(BIN)/python benchmarks/cells.py --speed
	$(BIN)/python benchmarks/export.py

faults: .venv/run  ## Stop runs in every way that we know of, have them go on, and count (half an hour)
	$(BIN)/python benchmarks/faults.py

release:  ## Build wheel and sdist into dist/, and try each in a fresh environment (a quarter of an hour; the network)
	$(PYTHON) tests/release.py

clean:  ## Remove the environment and all caches; runs/ stays
	rm -rf .venv site .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info

# A stamp for each set of packages, made anew when the project's needs change.
.venv/run: pyproject.toml constraints.txt
	$(call install,.)
.venv/test: pyproject.toml constraints.txt
	$(call install,.[test])
.venv/docs: pyproject.toml constraints.txt
	$(call install,.[docs])
.venv/dev: pyproject.toml constraints.txt
	$(call install,.[dev])

define install
	@test -x $(BIN)/python || { echo "making .venv (the first time takes some minutes)"; $(PYTHON) -m venv .venv; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '$(1)'
	@touch $@
endef
