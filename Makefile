# The two commands: `make run` and `make test`. Both first install what is missing (scripts/setup.sh).

CARGO ?= cargo
FUZZ_SECONDS ?= 30
FUZZ_JOBS ?= 1
FUZZ_TARGETS ?=
FUZZ_SINCE ?=
FUZZ_WRITE ?=
SIM_SEEDS ?= 100000
HISTORY_SECONDS ?= 600
HISTORY_SEED ?=
SOAK_SECONDS ?= 3600
REV ?=
UPGRADE_SECONDS ?= 5
BUILD ?= debug
SCRIPTS = $(wildcard scripts/*.sh tests/*/*.sh clients/*/tests/*.sh examples/*/*.sh examples/*/tests/*.sh packaging/*/*.sh helm/*.sh) .ci/run
NODE_MODULES = tests/conformance/node_modules/.package-lock.json
PLAYWRIGHT = tests/dashboard/node_modules/.package-lock.json

.PHONY: help run shop test binary docs-test reference site dashboard openapi django node-client frameworks cookbook shop-test helm packaging image-test packages licences sbom deny conformance bench bench-cores bench-peers bench-fills bench-shared bench-operators bench-shop bench-deploy bench-attacks fuzz simulation history soak churn attacks attack-tools crash upgrade fmt clippy unit instructions doc shell

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

run: setup ## build, start a small shop with Tagalong in front, print three curl lines to try
	$(CARGO) run --locked -- demo

shop: setup-shop ## a shop in Django (examples/shop) under gunicorn, with Tagalong in front; ends with Ctrl-C
	$(CARGO) build --locked --bin tagalong
	examples/shop/run.sh target/debug/tagalong

test: fmt clippy unit instructions attacks crash doc shell openapi docs-test dashboard django shop-test node-client frameworks cookbook helm packaging ## everything that must hold: format, lints, all tests, the instructions of a hit, attacks, kills and stops, docs, scripts, the admin interface's description, the dashboard, the packages for Django and Node.js, the shop, the page for other frameworks, the cookbook, every command on every page, the Helm chart, the image's files and the service

conformance: setup-conformance $(NODE_MODULES) binary ## the public HTTP cache test suite, against what we know we pass
	@echo "== conformance"
	node tests/conformance/run.mjs

$(NODE_MODULES): tests/conformance/package-lock.json tests/conformance/package.json | setup-conformance
	npm ci --prefix tests/conformance --no-audit --no-fund
	@touch $@

bench: setup ## the benches of this package (criterion)
	$(CARGO) bench --locked --bench tags --bench plan --bench metrics --bench steps

bench-cores: setup ## what two cores do to each other on the path of a hit
	$(CARGO) bench --locked --bench cores

bench-peers: setup ## hits, misses, invalidation, memory, start; beside nginx, Varnish and a bare hyper server; half an hour
	$(CARGO) build --locked --profile dist
	python3 benches/peers/run.py --tagalong target/dist/tagalong

bench-fills: setup ## stampedes, increments under load, large bodies, a purge of all; beside nginx and Varnish
	$(CARGO) build --locked --release
	python3 benches/fills/run.py --tagalong target/release/tagalong

bench-shared: setup-test ## increments per second, delivery to 50 sidecars, lookups that ask, memory; with a Redis of its own
	$(CARGO) bench --locked --bench shared

bench-operators: setup ## hits while operators scrape, watch and list 100,000 entries
	$(CARGO) build --locked --release
	python3 benches/operators/run.py --tagalong target/release/tagalong

bench-shop: setup-test ## the shop, read while it is edited: hits, speed, and how new every page is; without and with two sidecars
	$(CARGO) build --locked --release
	$$(scripts/venv.sh target/shop/run examples/shop/requirements.txt) examples/shop/load.py --tagalong target/release/tagalong --consistency strict,bounded --edits 0.1,0.01 --seconds 10 --write

bench-attacks: setup ## the attacks of `make attacks` on nginx and Varnish too, as a table
	$(CARGO) build --locked --release
	tests/attacks/run.py --tagalong target/release/tagalong --peers

bench-deploy: setup-packaging ## the image's files, memory when idle, time until it is ready
	rm -rf target/packaging/bench-image
	packaging/image/build.sh target/packaging/bench-image
	python3 benches/deploy/run.py --tagalong target/dist/tagalong

fuzz: setup-fuzz ## hostile header fields, requests, calls, files, stored bytes: FUZZ_SECONDS=30 for each target, then a table; FUZZ_TARGETS="plan rules" these alone, FUZZ_SINCE=main what has changed since, FUZZ_WRITE=1 into benches/results/fuzz.md
	tests/fuzz/run.py --seconds $(FUZZ_SECONDS) --jobs $(FUZZ_JOBS) $(if $(FUZZ_SINCE),--since $(FUZZ_SINCE)) $(if $(FUZZ_WRITE),--write) $(FUZZ_TARGETS)

simulation: setup-test ## the engine against a small reference: SIM_SEEDS=100000 histories by chance
	TAGALONG_SIM_SEEDS=$(SIM_SEEDS) $(CARGO) test --locked --test it simulation:: -- --nocapture

# One after the other: both are about time, and servers of one would take the processor from the other's.
history: setup-test ## sidecars that share Redis, and all that can happen to it: HISTORY_SECONDS=600 of each kind, from HISTORY_SEED on
	HISTORY_SECONDS=$(HISTORY_SECONDS) $(if $(HISTORY_SEED),HISTORY_SEED=$(HISTORY_SEED)) \
		$(CARGO) test --locked --test it history:: -- --nocapture --test-threads=1

# The program as it is handed out: what is resident of it is less than of a quicker build.
soak: setup-test ## an hour of all kinds of clients, operators and faults, in front of two sidecars; SOAK_SECONDS=60 a minute; an hour writes docs/soak.md
	$(CARGO) build --locked --profile dist
	python3 tests/soak/run.py --tagalong target/dist/tagalong --seconds $(SOAK_SECONDS)

upgrade: setup-test binary ## an upgrade and the way back under load: this program and that of REV (the last tag, or the commit before) on one Redis; UPGRADE_SECONDS=5 of each stage
	old=$$(tests/upgrade/build.sh $(REV)) && tests/upgrade/upgrade.py --old "$$old" --new target/debug/tagalong --seconds $(UPGRADE_SECONDS)

churn: setup-test ## an hour of comings and goings by a clock that is set: what is resident at each ten minutes of it, which must not grow
	$(CARGO) test --locked --lib churn:: -- --ignored --nocapture

# The steps of `make test`, each on its own if you like.

fmt: setup-test ## is the code formatted?
	@echo "== format"
	$(CARGO) fmt --all --check

clippy: setup-test ## lints, warnings denied
	@echo "== lints"
	$(CARGO) clippy --locked --all-targets -- -D warnings

unit: setup-test ## all tests
	@echo "== tests"
	$(CARGO) test --locked
	$(CARGO) test --locked --features loom --lib tags::cell

attacks: setup-test binary ## attacks on the sidecar, each with the answer it is to have
	@echo "== attacks"
	tests/attacks/run.py --tagalong target/debug/tagalong

# h2spec takes a minute to build, once.
attack-tools: setup-attack-tools binary ## tools that others have written, against the sidecar: h2spec, cpd, slowhttptest; WRITE=1 writes down what they find
	@echo "== attack tools"
	tests/attacks/tools.sh
	tests/attacks/public.py --tagalong target/debug/tagalong $(if $(WRITE),--write)

crash: setup-test binary ## what becomes of requests and changes when a sidecar is killed, stopped, or runs out of something
	@echo "== crash"
	tests/crash/run.py --tagalong target/debug/tagalong --kills 8 --stops 10

# After the tests, which have built what is counted. A release build takes minutes more.
instructions: setup-instructions ## how many instructions a hit takes, step by step, and whether they have become more; BUILD=release as it is handed out; BLESS=1 writes down what is counted
	@echo "== instructions"
	scripts/instructions.py $(BUILD)

doc: setup-test ## documentation, warnings denied
	@echo "== docs"
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

openapi: setup-test binary ## is /openapi.json right, and does the admin interface do what it says?
	@echo "== openapi"
	tests/openapi/run.sh target/debug/tagalong

docs-test: setup-docs binary ## every link, command, transcript and YAML block of the pages; the reference, the workflows
	@echo "== pages"
	tests/docs/run.sh target/debug/tagalong

reference: binary ## writes docs/reference anew, of what the binary says
	scripts/reference.py target/debug/tagalong

# mdBook is built on demand and kept: minutes, once.
site: setup ## the pages as a site, in target/site/html
	scripts/site.py

node-client: setup-node binary ## the package for Express and Fastify, its types, and both behind the sidecar
	@echo "== node-client"
	clients/node/tests/run.sh target/debug/tagalong

frameworks: setup-frameworks binary ## what docs/frameworks.md shows in Go, Python and Node.js, behind the sidecar
	@echo "== frameworks"
	tests/frameworks/run.sh target/debug/tagalong

cookbook: setup-test binary ## the recipes of docs/cookbook, each as it stands, behind the sidecar
	@echo "== cookbook"
	tests/cookbook/run.sh target/debug/tagalong

helm: setup-helm binary ## the Helm chart: rendered, checked against three versions of Kubernetes, and what it renders run; BLESS=1 writes down what comes of it
	@echo "== Helm chart"
	tests/helm/run.sh target/debug/tagalong

django: setup-test binary ## the Django package: format, lints, types, tests with two versions of Django behind this sidecar
	@echo "== Django package"
	clients/django/tests/run.sh target/debug/tagalong

shop-test: setup-test binary ## the shop of examples/shop: its tests, and a short load in which no page may be too old
	@echo "== shop"
	examples/shop/tests/run.sh target/debug/tagalong

# One page at a time: each has a sidecar and a Chromium to itself.
dashboard: setup-dashboard $(PLAYWRIGHT) binary ## the dashboard in a real Chromium; what it looks like is in target/dashboard
	@echo "== dashboard"
	PATH="$(CURDIR)/tests/dashboard/node_modules/.bin:$$PATH" TAGALONG=target/debug/tagalong node --test --test-concurrency=1 tests/dashboard/*.test.mjs

$(PLAYWRIGHT): tests/dashboard/package-lock.json tests/dashboard/package.json | setup-dashboard
	npm ci --prefix tests/dashboard --no-audit --no-fund
	@touch $@

# With the tests, as they have it: by itself it would be built with other features of its dependencies, and these once more.
binary: setup
	$(CARGO) build --locked --bin tagalong --test it

packaging: setup-packaging binary ## the image's files, the example for Docker Compose, the systemd unit, licences and bill of materials
	@echo "== packaging"
	tests/packaging/run.sh target/debug/tagalong

# The commands of the Dockerfile, where no container engine is needed. It takes minutes: a release build.
image-test: setup-packaging ## build the image's program as the Dockerfile does, and test the image's files with it
	rm -rf target/packaging/image
	packaging/image/build.sh target/packaging/image
	tests/packaging/run.sh target/dist/tagalong test_image

packages: setup-packages target/tools/cargo-deb@3.8.0 ## build the Debian package, install it here, and remove it again
	$(CARGO) build --locked --profile dist
	packaging/deb/build.sh target/dist/tagalong
	TAGALONG_DEB=$$(ls "$(CURDIR)"/target/packaging/tagalong_*.deb) tests/packaging/run.sh target/dist/tagalong deb

licences: target/tools/cargo-about@0.9.3 ## write the licences of all that is in the program anew
	$(TOOLS) $(CARGO) about generate --locked --fail --output-file packaging/THIRD-PARTY-LICENSES.txt packaging/licences.hbs

# Without a time and this machine's folders: the same dependencies are the same file. Without what is not in the program (sbom.py).
sbom: target/tools/cargo-cyclonedx@0.5.9 ## write the bill of materials (CycloneDX) anew
	$(TOOLS) SOURCE_DATE_EPOCH=0 $(CARGO) cyclonedx --quiet --format json --spec-version 1.5 --no-build-deps --override-filename tagalong.cdx
	sed -e 's|path+file://$(CURDIR)#||' -e '/"timestamp":/d' tagalong.cdx.json | packaging/sbom.py >target/tagalong.cdx.json
	mv target/tagalong.cdx.json packaging/tagalong.cdx.json
	rm tagalong.cdx.json

deny: target/tools/cargo-deny@0.20.2 ## licences, sources and bans of dependencies (known holes: needs the database from the web)
	$(TOOLS) $(CARGO) deny check licenses bans sources

# Programs for these few commands, which take minutes to build and are not among what `make test` needs.
TOOLS = PATH="$(CURDIR)/target/tools/bin:$$PATH"

target/tools/cargo-about@%: private FEATURES = --features cli
target/tools/cargo-%: | setup
	$(CARGO) install --locked --root target/tools $(FEATURES) $(notdir $@)
	@test -x target/tools/bin/cargo-$(firstword $(subst @, ,$*)) && touch $@

shell: setup-test ## shellcheck
	@echo "== scripts"
	shellcheck $(SCRIPTS)

setup:
	@scripts/setup.sh

setup-%:
	@scripts/setup.sh $*
