# Everything runs in .venv, which `make setup` makes from requirements.lock; the lock is what CI tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

VLLM := .venv-vllm

.PHONY: setup demo study-bases test test-all test-vllm check format lock clean

# Packages are compiled when they are first imported: most never are, and it takes a minute and a half of processor time.
setup: $(READY)

$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $(READY)

# The main job: problems -> solutions -> rollouts -> labels -> 20 reward models -> evaluation -> report.
demo: setup
	$(BIN)/stepward run tiny-cpu

# The base models of the studies (docs/studies/bases.md), about half an hour of one core; what is there stays.
study-bases: setup
	for base in 0.2m 0.6m 1.6m 4m careful; do \
		test -f runs/bases/$$base/config.json || \
			$(BIN)/python scripts/train_demo_generator.py runs/bases/$$base --base $$base || exit 1; \
	done

# One thread a process: two OpenMP threads beside another busy process cost more than they give. Work stealing: each
# worker begins with half of the files and takes over some of the other's when its own are done.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

# What every change runs: all that it can break, once. At most ten minutes on two idle cores.
test: setup
	$(PYTEST) -m "not slow and not vllm"

# All of it: every strategy killed, clusters, simulations, big streams, vLLM; more examples a property; coverage.
test-all: setup $(VLLM)/.ready
	STEPWARD_VLLM_PYTHON=$(abspath $(VLLM))/bin/python $(PYTEST) --hypothesis-profile=all \
		--cov --cov-report=term:skip-covered --durations=25

# Scores, draws and a server by vLLM's CPU build; its packages are pinned apart, and none pulls in others.
test-vllm: setup $(VLLM)/.ready
	OMP_NUM_THREADS=1 STEPWARD_VLLM_PYTHON=$(abspath $(VLLM))/bin/python $(BIN)/python -m pytest -m vllm \
		tests/reward_models/test_vllm.py tests/generation/test_vllm_engine.py tests/generation/test_vllm_serve.py

$(VLLM)/.ready: requirements-vllm.txt
	$(PYTHON) -m venv $(VLLM)
	$(VLLM)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-vllm.txt
	touch $@

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Writes requirements.lock again from what is installed in .venv.
lock:
	$(BIN)/python scripts/lock.py > requirements.lock.new && mv requirements.lock.new requirements.lock

clean:
	rm -rf $(VENV) $(VLLM) runs
