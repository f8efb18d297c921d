# What `make` can do here: `make help`.

SHELL := /bin/bash
PYTHON ?= python3
CARGO ?= cargo
# Address of `make run`.
LISTEN ?= 127.0.0.1:8080
# Address of its admin listener, with the console.
ADMIN_LISTEN ?= 127.0.0.1:8081
FUZZ_INPUTS ?= 1000000
FUZZ_SECONDS ?= 3600
SOAK ?= 20000
# Of `make image`: docker, podman or buildah.
BUILDER ?= docker
# Address of the repository, which `make image` and `make package` name.
SOURCE ?=
# A model pack instead of the default one, where none other may stand in for it; also of `make image` and `make rootfs`.
PACK ?= $(LIKENESS_PACK)
export LIKENESS_PACK := $(PACK)
PACKAGE_ARGUMENTS ?= --no-verify
# Of `make models`.
MODELS_ARGUMENTS ?=
# Of `make test-image`: docker or podman.
RUNNER ?= $(BUILDER:buildah=podman)
SHARED := $(or $(LIKENESS_SHARED),../shared)
SELFIE ?= $(wildcard $(SHARED)/data/faces/img2.jpg)
PHOTO ?= $(wildcard $(SHARED)/data/faces/img11.jpg)

# One build profile and one target folder for everything.
BUILD := --release --locked --target-dir target
LIKENESS := target/release/likeness
# Set-up may have brought the assembler that makes the JPEG decoder fast.
export PATH := $(CURDIR)/.setup/nasm/usr/bin:$(PATH)

# Scripts load ONNX Runtime too: it reports nothing to its maker.
export ORT_DISABLE_TELEMETRY := 1

# Set-up comes before the build, also with -j.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help run build-tests test test-fresh test-otel test-openvino test-embed test-replicas test-arm64 package public-dependencies soak fuzz fuzz-short fuzz-images fuzz-readers setup setup-openvino setup-cuda setup-browser setup-heif build models demo lint openapi schemathesis accuracy precision calibrate check-statistics measure-evaluation sbom wheel release check-release ready-for-checks rootfs image test-image deny bench bench-load bench-sizing footprint reload-memory bench-reference bench-regress bench-openvino bench-gpu clean

help: ## What can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

run: setup build models ## Set everything up and serve on LISTEN (127.0.0.1:8080), with the console on ADMIN_LISTEN, until Ctrl-C
	@if [ -z "$$LIKENESS_CONSOLE_TOKEN" ]; then \
	  LIKENESS_CONSOLE_TOKEN="$$($(PYTHON) -c 'import secrets; print(secrets.token_urlsafe(18))')"; \
	  echo "Token of the console: $$LIKENESS_CONSOLE_TOKEN"; fi; \
	export LIKENESS_CONSOLE_TOKEN; \
	exec $(LIKENESS) serve --demo --listen $(LISTEN) --admin-listen $(ADMIN_LISTEN) --set console.enabled=true \
	  --pack "$$(cat .setup/pack)"

build-tests: ## Set up what the suite needs beside models, and build it
	@$(PYTHON) scripts/setup.py
	@$(PYTHON) scripts/setup.py programs
	@# The program that fetches the models is among what the suite is built of: nothing is built twice.
	$(CARGO) test $(BUILD) --workspace --no-run

test: build-tests ## Set everything up and run the suite; what needs ../shared is skipped where it is absent
	@$(PYTHON) scripts/setup.py models --lenient
	@# Without them the smoke suite fails, which always runs.
	@$(PYTHON) scripts/setup.py images
	$(CARGO) test $(BUILD) --workspace | $(PYTHON) scripts/skipped.py; exit $${PIPESTATUS[0]}

test-fresh: ## `make run` and `make test` from nothing, where only package registries can be reached
	@scripts/fresh_machine.sh

soak: ## SOAK (20,000) requests at full load: no wrong answer, no memory that grows
	@$(PYTHON) scripts/setup.py
	LIKENESS_SOAK=$(SOAK) $(CARGO) test $(BUILD) --test soak -- --nocapture

test-otel: ## Lints and tests of the feature otel, and lints of fuzzing: the suite is built without both
	$(CARGO) clippy $(BUILD) -p likeness -p likeness-server --features likeness/otel,likeness-server/otel,likeness-server/fuzzing --lib --bins --test otel -- -D warnings
	$(CARGO) test $(BUILD) -p likeness-server --features otel --test otel

test-openvino: setup setup-openvino build models ## What is computed with OpenVINO agrees with the reference, and only whole
	$(CARGO) test $(BUILD) --test openvino
	LIKENESS__ENGINE__PROVIDER=openvino $(CARGO) test $(BUILD) --test golden

test-embed: setup ## The guide for embedders (docs/embed.md) in an empty crate outside of the workspace, built and run
	$(CARGO) test $(BUILD) --test embed

package: ## The published crates as archives in target/package, with SOURCE as repository; PACKAGE_ARGUMENTS= also builds each from its archive
	@SOURCE="$(SOURCE)" $(PYTHON) scripts/package.py $(PACKAGE_ARGUMENTS)

public-dependencies: ## The crates whose types the published crates export, compared with docs/stability.md
	@$(PYTHON) scripts/public_dependencies.py

test-replicas: setup ## Kills, drains and upgrades one of two replicas behind nginx, to a build with another migration; prints what was lost
	@$(PYTHON) scripts/setup.py programs
	@# The build that one replica is upgraded to; no release is built with this feature.
	@# Both builds take the suite's options, so that only crates with the feature are built twice.
	$(CARGO) test $(BUILD) --workspace --no-run --test replicas --features likeness-storage/next-migration
	@mkdir -p target/next && cp $(LIKENESS) target/next/likeness
	$(CARGO) test $(BUILD) --workspace --no-run --test replicas
	@$(PYTHON) scripts/setup.py models --lenient
	@$(PYTHON) scripts/setup.py images
	LIKENESS_NEXT_BUILD=$(CURDIR)/target/next/likeness $(CARGO) test $(BUILD) --workspace --test replicas -- --nocapture --test-threads=1

test-arm64: setup build models ## Builds for arm64 and runs it under qemu, on amd64 with Debian 12; compares with the reference and with this machine
	@$(PYTHON) scripts/arm64.py

fuzz: ## FUZZ_INPUTS (a million) mutated model files for each of their readers; not coverage-guided
	LIKENESS_FUZZ_INPUTS=$(FUZZ_INPUTS) $(CARGO) test $(BUILD) -p likeness-onnx -p likeness-packs --test fuzz -- --nocapture --test-threads=1

fuzz-short: ## All coverage-guided fuzz targets (fuzz/) for 40 seconds at most, with the same inputs each time, as in CI
	@$(PYTHON) scripts/fuzz.py --seconds 40 --repeatable

fuzz-images: ## Coverage-guided fuzzing of the image decoders for FUZZ_SECONDS (an hour)
	@$(PYTHON) scripts/fuzz.py --seconds $$(($(FUZZ_SECONDS) * 3 / 4)) images
	@$(PYTHON) scripts/fuzz.py --seconds $$(($(FUZZ_SECONDS) / 4)) --address decode_jpeg

fuzz-readers: ## Coverage-guided fuzzing of the request and configuration readers for FUZZ_SECONDS
	@$(PYTHON) scripts/fuzz.py --seconds $(FUZZ_SECONDS) readers

setup: ## ONNX Runtime and what the build needs, pinned and checked
	@$(PYTHON) scripts/setup.py

setup-openvino: ## ONNX Runtime with OpenVINO, pinned and checked, beside the other one
	@$(PYTHON) scripts/setup_provider.py openvino

setup-cuda: ## ONNX Runtime with CUDA and NVIDIA's libraries for it (1.4 GB), likewise
	@$(PYTHON) scripts/setup_provider.py cuda

setup-browser: ## A browser and axe-core for the tests of the console, from apt and npm: installs system packages
	@$(PYTHON) scripts/setup_browser.py

setup-heif: ## heif-enc and libheif for the tests of HEIC and AVIF, from apt: installs system packages
	@$(PYTHON) scripts/setup_heif.py

build: ## Leaves target/release/likeness
	$(CARGO) build $(BUILD)

models: build ## The models of the default pack, or of LIKENESS_PACK, into models/store, pinned and checked
	@$(PYTHON) scripts/setup.py models $(MODELS_ARGUMENTS)

demo: setup build models ## Verify SELFIE=... against PHOTO=... once and print the JSON; two images of a package where none is named
	@case "$(if $(SELFIE),one)$(if $(PHOTO),two)" in onetwo) ;; "") $(PYTHON) scripts/setup.py images;; \
	  *) echo "demo: name two images: make demo SELFIE=selfie.jpg PHOTO=photo.jpg" >&2; exit 2;; esac
	@$(LIKENESS) verify --json --pack "$$(cat .setup/pack)" "$(or $(SELFIE),.setup/images/obama.jpg)" \
	  "$(or $(PHOTO),.setup/images/obama2.jpg)"; code=$$?; \
	case $$code in 0) v="pass";; 3) v="review";; 4) v="reject";; *) exit $$code;; esac; echo "demo: $$v" >&2

lint: ## Format, clippy and documentation, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) clippy $(BUILD) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(BUILD) --workspace --no-deps

openapi: build ## Write docs/openapi.json again
	$(LIKENESS) openapi > docs/openapi.json

schemathesis: build models ## The service against its own OpenAPI document, with all checks of Schemathesis
	@scripts/schemathesis.sh

bench: setup build models ## The criterion benches
	$(CARGO) bench --locked --target-dir target --benches

accuracy: setup build models ## Measure on the development images and write docs/accuracy.md
	@$(CARGO) build $(BUILD) -p likeness-tools --bin score_variants --bin reduced_decoding
	@$(PYTHON) scripts/accuracy.py

precision: setup build models ## FP16, BF16 and INT8 variants of the models: how fast they are, and what they do to the error rates
	@$(CARGO) build $(BUILD) -p likeness-tools --bin precision --bin time_verify
	@$(PYTHON) scripts/precision.py

calibrate: setup build models ## Fit the default pack's match calibration to LFW's development view again, into .out/match.toml
	@mkdir -p .out
	$(LIKENESS) calibrate match --pairs $(SHARED)/data/lfw-dev/pairs-train.csv --root $(SHARED)/data/lfw-dev/images \
	  --all-pairs --face centre --name lfw-dev --out .out/match.toml

check-statistics: setup build models ## Compute the figures of evaluations again with scikit-learn and SciPy
	@$(PYTHON) scripts/check_statistics.py

measure-evaluation: setup build models ## Images per second and peak memory of an evaluation of LFW
	@$(PYTHON) scripts/measure_evaluation.py

sbom: setup ## The bill of materials (CycloneDX) into .out/sbom.cdx.json
	@$(PYTHON) scripts/sbom.py .out/sbom.cdx.json

wheel: setup build models ## The Python wheel of bindings/python into target/wheels, built, installed and tested
	@$(PYTHON) scripts/setup.py images
	@$(PYTHON) scripts/wheel.py

release: ready-for-checks ## check-release, unless it has passed for this commit, then the archive in .out/release: the same bytes in any folder
	@$(PYTHON) scripts/release.py

check-release: ready-for-checks ## The checks that a release must pass beyond .ci/run: features, packages, wheel, replicas, fuzzing … (about two hours)
	@$(PYTHON) scripts/check_release.py

ready-for-checks: setup build models
	@$(PYTHON) scripts/setup.py models --lenient
	@$(PYTHON) scripts/setup.py images
	@$(PYTHON) scripts/setup.py programs

rootfs: setup build ## What goes into the image, into .out/rootfs, with the default pack or PACK
	@$(PYTHON) scripts/setup.py models --no-stand-in
	@rm -rf .out/rootfs
	@$(PYTHON) scripts/image/rootfs.py .out/rootfs

image: ## The container image `likeness`, with the default pack or PACK, by BUILDER (docker, podman, buildah); IMAGE_ARGUMENTS are for its `build`
	@# The health check is something that only docker's format of images has.
	$(BUILDER) build $(if $(filter docker,$(BUILDER)),,--format docker) --build-arg LIKENESS_GIT_COMMIT="$$(git rev-parse HEAD)" \
	  --build-arg LIKENESS_VERSION="$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)" \
	  --build-arg LIKENESS_CREATED="$$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd)" \
	  --build-arg LIKENESS_SOURCE="$(or $(SOURCE),unknown)" --build-arg LIKENESS_PACK="$(PACK)" --tag likeness $(IMAGE_ARGUMENTS) .

test-image: ## Run the image `likeness` by RUNNER (docker, podman), hardened, and look whether it does what it should
	$(PYTHON) scripts/image/check.py --engine $(RUNNER) $(CHECK_ARGUMENTS) likeness

deny: ## Licences and sources of all crates; known vulnerabilities where their database can be reached
	@$(PYTHON) scripts/deny.py

bench-load: setup build models ## Latency, refusals and memory of the service while one to 128 clients send requests
	@$(CARGO) build $(BUILD) -p likeness-tools --bin load
	@$(PYTHON) scripts/bench_load.py

bench-sizing: setup build models ## What one core carries and what two do, closed and open loop
	@$(CARGO) build $(BUILD) -p likeness-tools --bin load
	@$(PYTHON) scripts/bench_sizing.py

footprint: setup build models ## Time to start, memory, wake-ups and size of the service at rest
	@$(PYTHON) scripts/footprint.py

reload-memory: setup build models ## What the service holds after its models were changed forty times
	@$(CARGO) build $(BUILD) -p likeness-tools --bin load
	@$(PYTHON) scripts/reload_memory.py

bench-reference: setup build models ## Likeness and the plain Python reference, alternately in the same minute
	@$(PYTHON) scripts/bench_reference.py

bench-regress: setup build models ## This program and that of BASE (the last release, else the commit before), alternately; fails if over 5 % slower
	@$(PYTHON) scripts/setup.py images
	@$(PYTHON) scripts/bench_regress.py $(if $(BASE),--base $(BASE))

bench-openvino: setup setup-openvino build models ## Models and verifications with OpenVINO and with the CPU provider, alternately
	@$(PYTHON) scripts/bench_providers.py openvino
	@$(PYTHON) scripts/bench_reference.py --provider openvino

bench-gpu: ## Agreement and all benches with CUDA, on a machine with an NVIDIA GPU
	@$(PYTHON) scripts/bench_gpu.py

clean: ## Remove what was built; what set-up has downloaded stays
	$(CARGO) clean --target-dir target
