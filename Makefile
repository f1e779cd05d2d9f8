# make demo    set up, then train every method on small images and print the table (2 minutes after the set-up)
# make test    set up, then run the tests
# make help    the rest

PYTHON ?= python3
SIZE ?= paper
STUDY = $(if $(filter paper,$(SIZE)),,$(SIZE)/)
SNAPSHOT = .venv/bin/snapshot
TABLES_AND_FIGURES = $(basename $(notdir $(wildcard $(foreach kind,table figure replicas implicit,configs/studies/$(STUDY)$(kind)*.yaml))))
READY = .venv/.ready

.PHONY: help setup demo reproduce test test-slow test-torture test-configs test-oldest test-gpu bench check docs format clean

help:
	@echo "make setup               make .venv and install the pinned packages"
	@echo "make demo                every method of Table 1 on small images: results/demo/"
	@echo "make test                the tests, at most 5 minutes"
	@echo "make test-slow           the tests that take minutes each"
	@echo "make test-torture        kill trainings at 80 random moments, compare their final results"
	@echo "make test-configs        train every experiment of the paper for two steps: 8 GB, 15 minutes"
	@echo "make test-oldest         the tutorial with the oldest packages that setup.cfg allows: 6 GB, 10 minutes"
	@echo "make test-gpu            the tests that need a GPU: at most 150 seconds"
	@echo "make bench               compare the speed of this machine with the goals: half an hour"
	@echo "make check               formatting, lint, types and the import contract"
	@echo "make docs                regenerate schemas, references and first lines of configs"
	@echo "make reproduce-table1    Table 1; SIZE=small or SIZE=demo: smaller; OPTIONS='--device cpu ...'"
	@echo "make reproduce           all tables and figures; SIZE and OPTIONS as above"
	@echo "make clean               remove .venv, builds and caches; keep results"

setup: $(READY)

$(READY): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; try make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

demo: setup
	$(SNAPSHOT) reproduce demo/table1

test: setup
	.venv/bin/python -m pytest --numprocesses auto

test-slow: setup
	.venv/bin/python -m pytest -m slow --ignore tests/test_shipped_experiments.py

test-torture: setup
	.venv/bin/python -m pytest -m slow tests/test_killing.py -s

test-configs: setup
	.venv/bin/python -m pytest -m slow tests/test_shipped_experiments.py -s

test-oldest:
	$(PYTHON) -m venv .venv-oldest
	sed -n '/^install_requires/,/^$$/s/^ *\(.*\)>=/\1==/p' setup.cfg > .venv-oldest/oldest.txt
	.venv-oldest/bin/python -m pip install --quiet --constraint .venv-oldest/oldest.txt --editable . pytest pytest-timeout
	.venv-oldest/bin/python -m pytest --override-ini filterwarnings=default tests/test_docs.py tests/test_completion.py -k 'tutorial or completed'

test-gpu: setup
	timeout --signal INT 150 .venv/bin/python -m pytest -m gpu -rs

bench: setup
	.venv/bin/python -m pip install --quiet --no-deps torchensemble==0.2.0
	.venv/bin/python scripts/benchmark.py $(OPTIONS)

check: setup
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports setup.cfg

format: setup
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

docs: setup
	.venv/bin/python docs/generate.py

reproduce: setup
	$(SNAPSHOT) reproduce $(addprefix $(STUDY),$(TABLES_AND_FIGURES)) $(OPTIONS)

reproduce-%: setup
	$(SNAPSHOT) reproduce $(STUDY)$* $(OPTIONS)

clean:
	rm -rf .venv .venv-oldest build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
