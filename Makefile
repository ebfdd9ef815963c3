# What people and CI call. Every target does its own set-up; the first one takes a minute or two.

VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/installed
COVERAGE_DIR := $(CURDIR)/.coverage-data
# Side by side, each with a homeserver of its own: some wait for other processes while others work.
WORKERS := $(shell n=$$(nproc); echo $$((n < 7 ? n + 1 : 8)))
# Held at 100 % of branches: what decides, and what the room sees.
PURE   := aiagentchat/core/*,aiagentchat/route/*,aiagentchat/route/bot_commands/*,aiagentchat/render/*,aiagentchat/send/*

.DEFAULT_GOAL := help
.PHONY: help demo check fix test test-long test-ship test-clients properties screenshots bench bench-limits bench-catch-up bench-neighbours bench-sealed bench-changes bench-gateway bench-cchat gateway-load faults torture image image-test pipeline audit sbom dist release deploy requirements clean

help:  ## this list
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

$(READY): requirements.txt requirements-dev.txt pyproject.toml rig/find-python.sh
	@python="$$(sh rig/find-python.sh)" && echo "Making $(VENV) with $$python (once; about a minute) …" \
		&& "$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# What is started as somebody who may not write here would compile all of it at every start.
.PHONY: compiled
compiled: $(READY)
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q aiagentchat rig

demo: $(READY)  ## try it: a homeserver, the daemon, a room and a chat, all on this machine
	@$(BIN)/python -m rig.setup
	@$(BIN)/python -m rig.demo

check: $(READY)  ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(READY)  ## mend format and lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: compiled  ## the tests, on a real homeserver and the real CLI, with the coverage gate
	@$(BIN)/python -m rig.setup
	-@$(BIN)/python -m rig.setup --clients
	@rm -rf $(COVERAGE_DIR) && mkdir -m 1777 $(COVERAGE_DIR)
	COVERAGE_FILE=$(COVERAGE_DIR)/data $(BIN)/coverage run -m pytest -m "not long and not ship" --numprocesses=$(WORKERS) --dist=worksteal $(ARGS)
	@cd $(COVERAGE_DIR) && COVERAGE_FILE=$(COVERAGE_DIR)/data $(CURDIR)/$(BIN)/coverage combine --quiet --rcfile=$(CURDIR)/pyproject.toml
	COVERAGE_FILE=$(COVERAGE_DIR)/data $(BIN)/coverage report
	COVERAGE_FILE=$(COVERAGE_DIR)/data $(BIN)/coverage report --fail-under=100 --include='$(PURE)'

test-long: compiled  ## the stories that are too many for `test`: the same daemon in more situations (twenty minutes)
	@$(BIN)/python -m rig.setup
	$(BIN)/pytest -m long --numprocesses=$(WORKERS) --dist=worksteal $(ARGS)

test-ship: compiled  ## what ships, as it ships: deployments over a real ssh, alerts that fire (root; ten minutes)
	@for tool in bats promtool rsync git ssh /usr/sbin/sshd setpriv; do command -v $$tool >/dev/null || { echo "test-ship needs" \
		"$$tool; on Debian: apt-get install --no-install-recommends bats git openssh-server prometheus rsync" >&2; exit 2; }; done
	@$(BIN)/python -m rig.setup
	$(BIN)/pytest -m ship --numprocesses=$(WORKERS) --dist=worksteal $(ARGS)

test-clients: compiled  ## encrypted rooms with Element's engine at the other side, in full
	@$(BIN)/python -m rig.setup --homeserver --cli --clients
	AIAGENTCHAT_TEST_CLIENTS=1 $(BIN)/pytest --numprocesses=$(WORKERS) --dist=worksteal tests/clients $(ARGS)

properties: compiled  ## 10,000 texts for everything that renders, splits and streams (half an hour)
	RENDER_EXAMPLES=10000 ANSWER_EXAMPLES=1000 SCHEMA_EXAMPLES=500 $(BIN)/pytest --numprocesses=$(WORKERS) \
		--dist=worksteal --timeout=3600 tests/unit/test_render_properties.py \
		tests/unit/test_send_answer_properties.py tests/unit/test_gateway_schema.py $(ARGS)

screenshots: compiled  ## docs/images: Element and Hydrogen in a real browser (needs Chromium; five minutes)
	@$(BIN)/python -m rig.setup --homeserver --cli
	$(BIN)/python -m rig.screenshots $(ARGS)

bench: compiled  ## the benchmark: aiagentchat beside a floor, in one run
	@$(BIN)/python -m rig.setup
	$(BIN)/python -m bench.run $(ARGS)

bench-limits: compiled  ## 25 answers in 5 rooms under a homeserver's default rate limit (two minutes)
	@$(BIN)/python -m rig.setup
	$(BIN)/python -m bench.limits $(ARGS)

bench-catch-up: compiled  ## 10,000 missed messages in 100 rooms, while another room is answered (ten minutes)
	@$(BIN)/python -m rig.setup
	$(BIN)/python -m bench.catch_up $(ARGS)

bench-neighbours: compiled  ## rooms that are answered while another one does its worst (six minutes)
	@$(BIN)/python -m rig.setup
	$(BIN)/python -m bench.neighbours $(ARGS)

ROOMS ?= plain
bench-sealed: compiled  ## what encryption costs, beside plain rooms and beside nio alone (two minutes)
	@$(BIN)/python -m rig.setup
	$(BIN)/python -m bench.sealed $(ARGS)

bench-changes: compiled  ## what looking at what a turn has changed costs, by the size of the workspace (a minute)
	$(BIN)/python -m bench.changes $(ARGS)

bench-gateway: compiled  ## how long sending through the gateway takes, beside a PUT to the homeserver (a minute)
	@$(BIN)/python -m rig.setup --homeserver --cli
	$(BIN)/python -m bench.gateway $(ARGS)

gateway-load: compiled  ## 10,000 messages of 20 callers through the gateway, while the daemon is killed (ten minutes)
	@$(BIN)/python -m rig.setup --homeserver --cli
	$(BIN)/python -m rig.gateway_load $(ARGS)

bench-cchat: compiled  ## how soon cchat is there, and a message accepted, beside the interpreter alone (a minute)
	@$(BIN)/python -m rig.setup
	$(BIN)/python -m bench.cchat $(ARGS)

faults: compiled  ## kill it, cut it off and starve it, 1,500 times, and judge the rooms (about an hour)
	@$(BIN)/python -m rig.setup --homeserver $(if $(filter encrypted,$(ROOMS)),--clients)
	$(BIN)/python -m rig.faults --full --lanes 2 --rooms $(ROOMS) $(ARGS)

torture: compiled  ## end runs that do not want to end, 1,100 times, and count what is left (ten minutes)
	@$(BIN)/python -m rig.setup
	$(BIN)/python -m rig.torture --full --lanes 2 $(ARGS)

image:  ## the container image, with docker, podman or buildah
	deploy/build-image.sh

IMAGE ?= localhost/aiagentchat-test:with-cli
image-test: $(READY)  ## build the image, and start it in containers in each way (needs podman, root)
	@$(BIN)/python -m rig.setup
	@$(BIN)/python -m rig.image
	AIAGENTCHAT_TEST_IMAGE=$(IMAGE) $(BIN)/pytest -m ship tests/container $(ARGS)

pipeline: $(READY)  ## run a job of .gitlab-ci.yml here: make pipeline ARGS=check; without ARGS it lists them
	@$(BIN)/python -m rig.pipeline $(ARGS)

audit: $(READY)  ## ask whether something is known against the versions that are pinned (asks PyPI; or SERVICE=osv)
	$(BIN)/python -m rig.audit $(if $(SERVICE),--service $(SERVICE)) $(ARGS)

sbom: $(READY)  ## dist/…cdx.json: what an installation is made of, as CycloneDX
	@$(BIN)/python -m rig.sbom

dist: $(READY)  ## dist: what a release is made of, and its checksums, from the files as they lie here
	@$(BIN)/python -m rig.release --rehearse

release: $(READY)  ## the same, where version, changelog and tag agree and nothing was changed since
	@$(BIN)/python -m rig.release

deploy:  ## deploy.sh: make deploy HOST=root@chat.example.org [VERSION=v0.2.0 | VERSION=dist/*.whl | ROLLBACK=yes]
	@[ -n "$$HOST" ] || { echo "make deploy HOST=root@chat.example.org: say where to" >&2; exit 2; }
	./deploy.sh $(if $(SSH_CONFIG),-F "$$SSH_CONFIG") $(ARGS) $(if $(ROLLBACK),--rollback,$(if $(VERSION),--version \
		$(or $(wildcard $(VERSION)),"$$VERSION"))) "$$HOST"

PIN := env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL uv pip compile --quiet --no-config --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --custom-compile-command "make requirements"

requirements:  ## pin again what requirements*.txt pin (needs uv)
	$(PIN) pyproject.toml -o requirements.txt
	$(PIN) requirements-dev.in -o requirements-dev.txt
	$(PIN) requirements-synapse.in -o requirements-synapse.txt
	$(PIN) --no-deps requirements-cli.in -o requirements-cli.txt
	cp requirements-cli.txt aiagentchat/agents/claude_code/
	$(PIN) requirements-node.in -o requirements-node.txt
	$(PIN) requirements-ship.in -o requirements-ship.txt
	$(PIN) requirements-supply.in -o requirements-supply.txt

clean:  ## remove what the targets made; config, data and rooms stay
	rm -rf $(VENV) .rig .coverage-data .mypy_cache .ruff_cache .pytest_cache .hypothesis
