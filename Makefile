# Everyday commands. Each installs what it lacks (Debian 12, through apt).
#   make run        build and start weir on its embedded SQLite
#   make build      build/release/weir
#   make test       unit tests, end-to-end tests, Kubernetes tests, fuzz targets for a bounded time
#   make kube       the Kubernetes tests alone: a real control plane on this machine (see tests/kube/lab)
#   make conformance  the whole Gateway API conformance suite; writes docs/conformance/
#   make test-asan  unit and end-to-end tests under Address and UndefinedBehaviour sanitizers
#   make test-tsan  the same under the thread sanitizer
#   make bench      weir beside nginx and HAProxy in one interleaved run
PREFIX ?= $(CURDIR)/.weir
ARGS ?=
FUZZ_SECONDS ?= 20
PYTEST = /usr/bin/python3 -m pytest -q
NODE_TESTS = build/e2e-node/node_modules/.package-lock.json

.PHONY: run build test unit e2e kube conformance fuzz test-asan test-tsan bench setup-test clean

run: build
	@mkdir -p $(PREFIX)
	@exec build/release/weir run --greet --prefix $(PREFIX) $(ARGS)

build:
	@scripts/setup run
	@[ -f build/release/build.ninja ] || cmake --preset release -DWEIR_TESTS=OFF >build-configure.log || { cat build-configure.log; exit 1; }
	@rm -f build-configure.log
	@cmake --build build/release --target weir

test: unit e2e kube fuzz

setup-test:
	@scripts/setup test

unit: setup-test
	cmake --preset release -DWEIR_TESTS=ON
	cmake --build build/release
	ctest --preset release

$(NODE_TESTS): tests/e2e/express/package-lock.json | setup-test
	mkdir -p build/e2e-node
	cp tests/e2e/express/package.json tests/e2e/express/package-lock.json tests/e2e/express/*.js build/e2e-node/
	cd build/e2e-node && npm ci --no-audit --no-fund

e2e: unit $(NODE_TESTS)
	WEIR_BIN=$(CURDIR)/build/release/weir $(PYTEST) tests/e2e

# Where they cannot run they are skipped, and pytest says why; with WEIR_KUBE_REQUIRED=1 that is a failure.
kube: unit
	@tests/kube/setup || [ -z "$$WEIR_KUBE_REQUIRED" ]
	WEIR_BIN=$(CURDIR)/build/release/weir $(PYTEST) -rs tests/kube

conformance: build
	@tests/kube/setup
	WEIR_BIN=$(CURDIR)/build/release/weir tests/kube/conformance $(ARGS)

fuzz: setup-test
	cmake --preset fuzz
	cmake --build --preset fuzz
	tests/fuzz/run build/fuzz $(FUZZ_SECONDS)

test-asan test-tsan: test-%: $(NODE_TESTS)
	cmake --preset $*
	cmake --build build/$*
	ctest --preset $*
	WEIR_BIN=$(CURDIR)/build/$*/weir $(PYTEST) tests/e2e

bench: build
	@scripts/setup bench
	bench/bench.py $(ARGS)

clean:
	rm -rf build
