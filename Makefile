# What a newcomer needs: make run, make test. See README.md.

SHELL  := /bin/bash
GO     ?= go
LISTEN ?= localhost:8080
# Quality of brotli for the page: 5 is quick; 11 is for a release and for size.
BROTLI ?= 5

LDFLAGS := -s -w
WASM    := dist/app.wasm
NODE_EXEC = $(shell $(GO) env GOROOT)/lib/wasm/go_js_wasm_exec

.PHONY: all run wasm site server test unit test-wasm test-browser bench size lint fuzz clean

all: server

# Builds everything and serves the playground; the server prints its address.
run: server
	./joinery serve --listen $(LISTEN)

# The engine and the page for the browser.
wasm:
	@mkdir -p dist
	GOOS=js GOARCH=wasm $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(WASM) ./wasm

# The static site in dist/, precompressed.
site: wasm
	cp wasm/index.html wasm/boot.js wasm/style.css "$$($(GO) env GOROOT)/lib/wasm/wasm_exec.js" dist/
	$(GO) run ./tools/press -quality $(BROTLI) site dist

# The joinery command with the site inside.
server: site
	find server/site -mindepth 1 ! -name .keep -delete
	cp -R dist/. server/site/
	$(GO) build -trimpath -o joinery ./server

# All tests, the browser's among them.
test: lint unit test-wasm test-browser

unit:
	$(GO) test ./...

# The engine under GOOS=js in Node, with another zone and locale: the same
# world, byte for byte, as natively.
test-wasm:
	@tools/find.sh node >/dev/null || { echo "test-wasm: left out, there is no node"; exit 0; }; \
	set -x; TZ=Pacific/Auckland LANG=tr_TR.UTF-8 GOOS=js GOARCH=wasm $(GO) test -exec $(NODE_EXEC) -run SameWorld ./engine

test-browser: server
	@chromium=$$(tools/find.sh browser) || { echo "test-browser: left out, there is no Chromium or Chrome (set CHROME to name one)"; exit 0; }; \
	set -x; cd test/browser && CHROME="$$chromium" JOINERY="$(CURDIR)/joinery" ARTIFACTS="$(CURDIR)/artifacts" $(GO) test -count=1 -timeout 8m ./...

bench:
	JOINERY_BENCH=1 $(GO) test -count=1 -v -run TestSpeed ./engine

# app.wasm against its budgets.
size: wasm
	$(GO) run ./tools/press size $(WASM)

lint:
	@bad=$$(gofmt -l . ); test -z "$$bad" || { echo "gofmt these: $$bad"; exit 1; }
	$(GO) vet ./...
	GOOS=js GOARCH=wasm $(GO) vet ./wasm ./web/... ./lessons ./engine/...

fuzz:
	$(GO) test -run '^$$' -fuzz FuzzParseSession -fuzztime 30s ./lessons

clean:
	rm -rf dist artifacts joinery .work
	find server/site -mindepth 1 ! -name .keep -delete
