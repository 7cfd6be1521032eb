# `make demo` and `make test` need nothing but Python 3.11 or newer and a package index: they make their own
# environment in .venv, install the project under constraints.txt, and run.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
WHEEL_VENV := .venv-wheel
LOWEST_VENV := .venv-lowest

export PIP_CONSTRAINT := $(abspath constraints.txt)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# One thread per test process: more of them only get in one another's way.
unit lowest wheel oracle: export OMP_NUM_THREADS ?= 1

.PHONY: demo test check lint unit lowest wheel oracle bench docs assets clean

demo: $(STAMP)                 ## from nothing to agents that plan on Wall, and a report: minutes
	$(BIN)/wmcontrol demo

test: unit lowest wheel        ## the tests, again with the lowest versions, then the built wheel

check: lint test               ## ruff, mypy, and everything that `make test` does

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(STAMP)
	$(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

# What the versions of packages cannot change is left out: what computes with PyTorch alone (its version is the same
# here, see tests/lowest.py), broken files and killed processes by the hundred, and commands that train or take times,
# since each step of theirs has tests of its own; likewise the pages' blocks, and what is marked as long.
LOWEST_LEAVES_OUT := $(addprefix tests/,benchmarks fuzz planners training test_readme.py) $(wildcard $(addprefix tests/*/test_, \
	assets.py compare.py demo.py pretrain_mixes.py stages.py train_jobs.py))

# Old releases use what newer ones of other packages have deprecated, and some clean up badly (CartPole of Gymnasium).
lowest: $(STAMP)               ## the tests of what meets other packages, with the lowest versions in pyproject.toml
	$(BIN)/python tests/lowest.py test > $(LOWEST_VENV).txt
	$(PYTHON) -m venv $(LOWEST_VENV)
	PIP_CONSTRAINT=$(abspath $(LOWEST_VENV).txt) $(LOWEST_VENV)/bin/pip install --quiet -e ".[test]"
	$(LOWEST_VENV)/bin/python -m pytest -n auto $(addprefix --ignore=,$(LOWEST_LEAVES_OUT)) \
		-m "not long" -W default::DeprecationWarning -W default::pytest.PytestUnraisableExceptionWarning $(PYTEST_ARGS)

wheel: $(STAMP)
	rm -rf dist $(WHEEL_VENV)
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .
	$(PYTHON) -m venv $(WHEEL_VENV)
	$(WHEEL_VENV)/bin/pip install --quiet dist/*.whl
	test $$(cat dist/*.whl | wc -c) -le 30000000 || { echo "dist: the wheel is over 30 MB"; exit 1; }
	bash tests/wheel_smoke.sh $(abspath $(WHEEL_VENV))

oracle: $(STAMP)               ## compare step for step with gym-pusht, gymnasium-robotics and d4rl
	$(PYTHON) -m venv .venv-oracle
	.venv-oracle/bin/pip install --quiet -e ".[test,oracle,d4rl]"
	.venv-oracle/bin/python -m pytest tests/oracle $(PYTEST_ARGS)

bench:                         ## measure what the library costs, beside other packages: hours, on an idle machine
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet -e ".[bench]"
	for name in planners agents data envs training speed; do .venv-bench/bin/python -m experiments.benchmarks.$$name || exit 1; done

docs: $(STAMP)                 ## the documentation as a site, in site/
	$(BIN)/pip install --quiet -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

assets: $(STAMP)               ## make the packaged models anew: hours; killed, it goes on when it is run again
	$(BIN)/python -m experiments.assets --into wmcontrol/assets

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -e ".[dev]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) $(WHEEL_VENV) $(LOWEST_VENV) $(LOWEST_VENV).txt .venv-oracle .venv-bench dist build outputs
