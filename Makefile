# Two commands: `make demo` shows the main job, `make test` checks it; `make test-long` checks the rest.
# PYTHON picks the interpreter that makes .venv: 3.10, 3.11 or 3.12.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# What takes minutes: every model family, gradients through the whole harness, every fault and
# resumed run, the commands of all docs, the notebook, the site, studies in small, whole leaderboards.
LONG = $(addprefix tests/integration/,zoo models/test_llava.py \
	$(addprefix harness/test_,attacks.py command_line.py failed_documents.py failures.py faults.py \
		full_disk.py hub.py misbehaviours.py plan.py resume.py runs_agree.py same_question.py \
		servers.py session.py) \
	$(addprefix test_,coverage.py csp.py docs.py first_hour.py install.py notebook.py scale.py \
		seams.py site.py)) \
	$(addprefix tests/unit/,calibration/test_training.py metrics/inference/test_power.py \
		probe/test_real_vocabularies.py) \
	$(addprefix tests/unit/report/test_,commands.py compare.py copies.py example.py leaderboard.py \
		nasty_results.py whole_files.py)
PYTEST = $(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder
# Tracing takes a third of the time of tests: .ci/run asks for it.
COVERAGE ?=
# A real vLLM needs an environment of its own: 5 GB.
ENGINES = tests/engines
ENGINES_ENV ?= .engines-env

.PHONY: demo test test-long test-engines install

demo: $(VENV)/installed
	rm -rf results
	VLM_CONFIDENCE_DATA=sandbox HF_HUB_OFFLINE=1 $(BIN)/lmms_eval --model tiny_llava \
		--tasks pope_eps0.3,caption_eps0.3 --output_path results --log_samples

test: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(PYTEST) $(addprefix --ignore ,$(LONG) $(ENGINES)) $(COVERAGE)

test-long: $(VENV)/installed-test
	$(PYTEST) $(LONG) $(COVERAGE)

# vLLM in the process and as a server, against transformers.
test-engines: $(ENGINES_ENV)/installed
	PYTHONPATH=$(CURDIR)/$(ENGINES) $(ENGINES_ENV)/bin/python -m pytest -q -s --noconftest $(ENGINES)

install: $(VENV)/installed

$(VENV)/installed: setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[report]"
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test,report,docs,csp]"
	touch $@

$(ENGINES_ENV)/installed: requirements-engines.txt setup.cfg
	test -x $(ENGINES_ENV)/bin/python || $(PYTHON) -m venv $(ENGINES_ENV)
	$(ENGINES_ENV)/bin/python -m pip install --quiet --requirement requirements-engines.txt \
		--editable ".[report]"
	# Linked against CUDA, and not needed for images.
	$(ENGINES_ENV)/bin/python -m pip uninstall --quiet --yes torchaudio torchcodec
	touch $@
