# Run `make` for help. Paths are relative to this file: make works in any folder of a clone with -C.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Builds that are handed on are static and have no local paths in them. Lint and the nested modules' tests use the same flags, so
# that they find in Go's cache what the builds have compiled.
STATIC := CGO_ENABLED=0 GOWORK=off GOFLAGS='-trimpath -buildvcs=false'
# Git's state is stamped into the binary where it can be read; `slipway version` shows it.
VCS := $(shell git rev-parse -q --verify HEAD >/dev/null 2>&1 && git status --porcelain >/dev/null 2>&1 && echo auto || echo false)

GO_TEST := go test -race -shuffle=on
# Of one package's tests. Generous: machines that are busy with something else are slow, not broken.
TIMEOUT := 30m

# Packages whose tests must cover most of what they say, and how much of it, in percent.
COVERED := source build apply health delivery
COVERAGE_MIN := 80
empty :=
comma := ,
COVER_PKGS := $(subst $(empty) $(empty),$(comma),$(foreach p,$(COVERED),./internal/$(p)/...))

# Flags of the commands that targets run: make up ARGS='--name two --nodes simulated'
ARGS ?=

.PHONY: help
help: ## Show this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Use

.PHONY: build
build: ## Build bin/slipway
	@CGO_ENABLED=0 GOWORK=off go build -trimpath -buildvcs=$(VCS) -ldflags '-s -w' -o bin/slipway ./cmd/slipway

.PHONY: up
up: build ## Start a lab with Slipway in it; ARGS are flags of `slipway up`
	@bin/slipway up $(ARGS)

.PHONY: down
down: build ## Stop the lab and leave nothing behind; ARGS are flags of `slipway down`
	@bin/slipway down $(ARGS)

.PHONY: demo
demo: build ## Show Git to cluster: lab, commit, change, drift put back
	@$(STATIC) go run ./examples/demo $(ARGS)

##@ Check

.PHONY: test
test: ## Everything that CI checks: build, lint, unit, integration, end-to-end
	@$(MAKE) --no-print-directory packages
	@$(MAKE) --no-print-directory build
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory lab
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory modules
	@$(MAKE) --no-print-directory e2e

.PHONY: lab
lab: ## Build the lab's executables into the user's cache, where they are missing
	@$(STATIC) go run ./internal/lab/prebuild

.PHONY: unit
unit: lab ## Unit and integration tests, the latter against a real API server
	@mkdir -p coverage
	@$(GO_TEST) -timeout $(TIMEOUT) -coverpkg=$(COVER_PKGS) -coverprofile=coverage/unit.out \
	  $$(go list ./... | grep -v -E '/e2e(/.*)?$$')
	@go run -C tools ./coverage -min $(COVERAGE_MIN) $(CURDIR)/coverage/unit.out $(addprefix internal/,$(COVERED))

.PHONY: modules
modules: ## Tests of the nested modules: lab, lab/addons, tools, interop
	@cd lab && $(STATIC) go test -shuffle=on ./...
	@cd lab/addons && $(STATIC) go test -shuffle=on ./...
	@cd lab/addons && $(GO_TEST) ./registry
	@cd tools && $(GO_TEST) ./...
	@cd interop && $(STATIC) go test -shuffle=on ./...

.PHONY: e2e
e2e: build lab ## End-to-end tests, against real pods where this machine can run them
	@for program in flux versitygw flagger-1.36 flagger-1.37 jobset-0.10 jobset-0.11; do go run -C tools ./upstream $$program >/dev/null || exit 1; done
	@$(GO_TEST) -p 1 -timeout $(TIMEOUT) ./e2e/...

.PHONY: lint
lint: ## golangci-lint and gofumpt on every module; govulncheck where its database can be reached
	@echo 'lint .'; $(STATIC) go tool -modfile=tools/go.mod golangci-lint run --allow-parallel-runners ./...
	@echo 'lint lab'; cd lab && $(STATIC) go tool -modfile=../tools/go.mod golangci-lint run --allow-parallel-runners ./...
	@echo 'lint lab/addons'; cd lab/addons && $(STATIC) go tool -modfile=../../tools/go.mod golangci-lint run --allow-parallel-runners ./...
	@echo 'lint interop'; cd interop && $(STATIC) go tool -modfile=../tools/go.mod golangci-lint run --allow-parallel-runners ./...
	@echo 'lint tools'; cd tools && $(STATIC) go tool golangci-lint run --allow-parallel-runners ./...
	@cd tools && $(STATIC) go run ./vulncheck ..

.PHONY: bench
bench: build lab ## Slipway beside Flux's controllers and the floor, about an hour; ARGS are flags of ./bench, such as '-scenarios create -n 100'
	@go run ./bench $(ARGS)

.PHONY: microbench
microbench: ## Benchmarks of the packages between Git and the cluster; ARGS are flags of `go test`
	@go test -run '^$$' -bench . -benchmem $(ARGS) $(foreach p,$(COVERED),./internal/$(p)/...)

##@ Change

.PHONY: generate
generate: ## Write what follows from the code again: CRDs, roles
	@go generate ./...

.PHONY: fmt
fmt: ## Format the code with gofumpt
	@$(STATIC) go tool -modfile=tools/go.mod golangci-lint fmt ./...
	@for module in lab lab/addons tools interop; do (cd $$module && $(STATIC) go tool -modfile=$(CURDIR)/tools/go.mod golangci-lint fmt ./...); done

# Debian packages that tests need, each with a file that says whether it is there. The lab installs its own when it starts; here
# they come first, so that a machine that can't have them says so at once.
PACKAGES := git:/usr/bin/git gcc:/usr/bin/gcc libc6-dev:/usr/include/stdlib.h containerd:/usr/bin/containerd runc:/usr/sbin/runc \
  containernetworking-plugins:/usr/lib/cni/bridge iptables:/usr/sbin/iptables iproute2:/usr/sbin/ip

.PHONY: packages
packages: ## Install the Debian packages that tests need, where they are missing
	@missing=''; \
	for p in $(PACKAGES); do [ -e "$${p#*:}" ] || missing="$$missing $${p%%:*}"; done; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "make: these are missing and can't be installed from here:$$missing" >&2; \
	  echo "make: as root on Debian: apt-get install$$missing. Without containerd and root, tests that need real pods are left out." >&2; \
	  command -v gcc >/dev/null && command -v git >/dev/null; exit; \
	fi; \
	apt-get update -q >/dev/null; \
	DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing >/dev/null; \
	echo "installed:$$missing"
