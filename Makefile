# Set-up on a fresh machine is part of every target: `make run` and `make test` need Python >= 3.11 and nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXPERIMENT ?= quick
JOBS ?= 2

.PHONY: run test bench check gpu mutants torture torture-processes torture-inputs page docs clean

run: $(VENV)/.run                 ## run an experiment: make run EXPERIMENT=matrix
	$(BIN)/otbench run $(EXPERIMENT)

# bytecode is stored even where the environment forbids it: else every process that a test starts compiles otbench anew
test: $(VENV)/.test               ## lint, types and the test suite
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/.run               ## re-check the committed results
	$(BIN)/otbench check

bench: $(VENV)/.test              ## ratios, measured side by side in one process
	$(BIN)/python -m pytest tests/benchmarks --benchmark-enable -m "not gpu" -s

gpu:                              ## on a machine with a GPU: its tests and its rows, 25 minutes at most a call; make gpu GPU='--help'
	$(PYTHON) .ci/gpu.py $(GPU)

page: $(VENV)/.test               ## the page of the committed results, in a browser: its size, first paint and filter time
	$(BIN)/python -m pytest -q -s -m slow tests/report/page

docs: $(VENV)/.docs               ## the pages in docs/ as a site in docs/_build, warnings taken for errors; prints its seconds
	@begun=$$(date +%s); $(BIN)/python -m sphinx -q -W --keep-going -E -b html docs docs/_build && \
	  echo "docs/_build/index.html: 0 warnings, $$(( $$(date +%s) - begun )) s"

mutants: $(VENV)/.mutants         ## faults planted one at a time in the core rooms: make mutants ROOM=exact ONLY='*_excess*'
	OMP_NUM_THREADS=1 $(BIN)/python .ci/mutants.py --jobs $(JOBS) $(if $(ONLY),--only '$(ONLY)') $(ROOM)

torture: $(VENV)/.test            ## the fault suite: real processes killed, starved and fed rubbish; prints its figures
	$(TORTURE) tests/torture/test_overhead.py
	$(MAKE) --no-print-directory -j2 torture-processes torture-inputs

torture-processes:
	$(TORTURE) tests/torture/test_kills.py tests/torture/test_engines.py tests/torture/test_disks.py

torture-inputs:
	$(TORTURE) tests/torture/test_faults.py tests/torture/test_fuzz.py tests/torture/test_corruption.py

TORTURE := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m torture -q -s -p no:cacheprovider

clean:                            ## remove the virtual environment
	rm -rf $(VENV)

# Versions are pinned by constraints.txt; with a GPU, lift the pins and take torch's CUDA build:
#     make clean && make run CONSTRAINTS= TORCH_INDEX=
CONSTRAINTS ?= -c constraints.txt
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PIP := $(BIN)/python -m pip --disable-pip-version-check

# torch first, its CPU build from PyTorch's own index; where that cannot be reached, from wherever pip looks.
$(VENV)/.run: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "python3-venv is missing: apt-get install python3-venv" >&2; exit 1; }
	test -z "$(TORCH_INDEX)" || $(PIP) --retries 0 --timeout 5 install --quiet $(CONSTRAINTS) --index-url $(TORCH_INDEX) torch 2>/dev/null || true
	$(PIP) install --quiet $(CONSTRAINTS) -e .
	touch $@

$(VENV)/.test: $(VENV)/.run
	$(PIP) install --quiet $(CONSTRAINTS) -e ".[test]"
	touch $@

$(VENV)/.docs: $(VENV)/.run
	$(PIP) install --quiet $(CONSTRAINTS) -e ".[docs]"
	touch $@

$(VENV)/.mutants: $(VENV)/.test
	$(PIP) install --quiet $(CONSTRAINTS) -e ".[mutants]"
	touch $@
