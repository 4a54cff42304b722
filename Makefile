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
	find index.html wasm web -maxdepth 1 -type f ! -name '*.go' -exec cp {} dist/ ';'
	cp "$$($(GO) env GOROOT)/lib/wasm/wasm_exec.js" dist/
	$(GO) run ./tools/opening >dist/opening.json
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

# A join beside its bare crypto, 1,000 joins beside one, and the start of the
# page beside that of an empty go-app page.
bench: server
	JOINERY_BENCH=1 $(GO) test -count=1 -v -run TestSpeed ./engine
	mkdir -p .work/empty
	GOOS=js GOARCH=wasm $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o .work/empty/app.wasm ./tools/empty
	cp tools/empty/index.html tools/empty/boot.js "$$($(GO) env GOROOT)/lib/wasm/wasm_exec.js" .work/empty/
	$(GO) run ./tools/press -quality $(BROTLI) site .work/empty
	@chromium=$$(tools/find.sh browser) || { echo "bench: the start is not measured, there is no Chromium or Chrome"; exit 0; }; \
	set -x; cd test/browser && CHROME="$$chromium" JOINERY="$(CURDIR)/joinery" JOINERY_EMPTY="$(CURDIR)/.work/empty" $(GO) test -count=1 -v -run TestReady ./...

# app.wasm against its budgets.
size: wasm
	$(GO) run ./tools/press size $(WASM)

lint:
	@bad=$$(gofmt -l . ); test -z "$$bad" || { echo "gofmt these: $$bad"; exit 1; }
	$(GO) vet ./...
	GOOS=js GOARCH=wasm $(GO) vet ./wasm ./web/... ./lessons ./engine/... ./tools/empty

fuzz:
	$(GO) test -run '^$$' -fuzz FuzzParseSession -fuzztime 30s ./lessons

clean:
	rm -rf dist artifacts joinery .work
	find server/site -mindepth 1 ! -name .keep -delete
