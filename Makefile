# What a newcomer needs: make run, make test. See README.md.

SHELL  := /bin/bash
GO     ?= go
LISTEN ?= localhost:8080
# Quality of brotli for the page: 5 is quick; 11 is for a release and for size.
BROTLI ?= 5

WASM    := dist/app.wasm
# What keeps the page's program small. Code that is copied into its callers
# (inlined) is an eighth of it, so only what computes is: the runtime, crypto's
# arithmetic, encoding/json, strings and their like, which no pattern below
# names. And a map that nothing reads is left out also when it is short: the
# docs of every field of k8s.io/api are such maps. Plain `go build ./wasm` makes
# the same program, larger.
SMALL   := -l -d=wrapglobalmapctl=2
INCALLS := github.com/... k8s.io/... sigs.k8s.io/... mvdan.cc/... go.yaml.in/... golang.org/... gopkg.in/... \
	crypto/tls crypto/x509/... crypto/hpke encoding/asn1 encoding/csv encoding/pem net/... mime/... text/... html/... \
	flag log/... regexp/... go/... os/... bufio bytes compress/... container/... context embed errors fmt io/... math/big path/... reflect sort sync time unicode/... encoding/base64 encoding/hex \
	vendor/golang.org/x/net/... vendor/golang.org/x/text/... vendor/golang.org/x/crypto/cryptobyte/...
# The page speaks JSON: it is built of a copy of k8s.io/api without protobuf, which
# is 1.7 MB of it, and of one of k8s.io/apimachinery that refuses CBOR, which is
# another 0.7 MB. Both know no scheme, which would keep every method of every kind,
# log nothing and have no unstructured objects (tools/plain): 2.2 MB more. They lie
# below this folder, so that gofmt and lint see them.
PLAIN   := .work/wasm.mod
# All that is built for the browser is built with these, so that it is built once.
FOR_WASM := -modfile=$(PLAIN) -trimpath $(foreach p,$(INCALLS),'-gcflags=$(p)=$(SMALL)')
# The binary tells its revision where git can be asked, whatever GOFLAGS say.
REVISION = $(shell git status --porcelain >/dev/null 2>&1 && echo -buildvcs=auto)
NODE_EXEC = $(shell $(GO) env GOROOT)/lib/wasm/go_js_wasm_exec

.PHONY: all run wasm site server test unit sim test-sim test-wasm test-browser test-size bench bench-scale size lint fuzz clean

all: server

# Builds everything and serves the playground; the server prints its address.
run: server
	./joinery serve --listen $(LISTEN)

$(PLAIN): go.mod go.sum Makefile $(shell find tools/plain -type f)
	@mkdir -p .work && rm -rf .work/api .work/apimachinery .work/klog
	$(GO) mod download k8s.io/api k8s.io/apimachinery
	for m in api apimachinery; do cp -R "$$($(GO) list -m -f '{{.Dir}}' k8s.io/$$m)" .work/$$m && chmod -R u+w .work/$$m || exit 1; done
	find .work/api -name generated.pb.go -delete
	printf '%s\n' 'package direct' 'import "errors"' 'var refused = errors.New("this program speaks JSON")' \
		'func Marshal(any) ([]byte, error) { return nil, refused }' 'func Unmarshal([]byte, any) error { return refused }' \
		'func Diagnose([]byte) (string, error) { return "", refused }' >.work/apimachinery/pkg/runtime/serializer/cbor/direct/direct.go
	cp -R tools/plain/apimachinery/. .work/apimachinery/ && cp -R tools/plain/klog .work/klog
	find .work/apimachinery -name "*_fuzz.go" -delete
	cd .work/apimachinery/pkg/apis/meta/v1 && rm conversion.go zz_generated.conversion.go zz_generated.defaults.go
	for f in .work/api/*/v*/register.go; do sed -i -e '/^func addKnownTypes/,$$d' -e 's/NewSchemeBuilder(addKnownTypes)/NewSchemeBuilder()/' -e '/apis\/meta\/v1"/d' $$f || exit 1; done
	gofmt -w .work/api/*/v*/register.go .work/apimachinery/pkg/runtime/serializer/cbor/direct .work/apimachinery/third_party
	cp go.sum .work/wasm.sum
	cp go.mod $@ && $(GO) mod edit -replace k8s.io/api=./.work/api -replace k8s.io/apimachinery=./.work/apimachinery -replace k8s.io/klog/v2=./.work/klog $@

# The engine and the page for the browser.
wasm: $(PLAIN)
	@mkdir -p dist
	GOOS=js GOARCH=wasm $(GO) build $(FOR_WASM) -ldflags '-s -w' -o $(WASM) ./wasm

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
	$(GO) build -trimpath $(REVISION) -o joinery ./server

# All tests, the browser's among them.
test: lint unit test-sim test-wasm test-browser test-size

unit:
	$(GO) test ./...

# Random worlds whose laws are looked at after every event: RUNS of them, or the
# one numbered SEED.
RUNS ?= 2000
SEED ?= 0
sim:
	$(GO) test ./engine -count=1 -timeout 0 -run 'TestSimulation$$' -sim.runs $(RUNS) -sim.seed $(SEED)

test-sim:
	$(GO) test ./engine -run 'TestSimulation$$' -sim.runs 200

# The engine under GOOS=js in Node, with another zone and locale: the same
# world, byte for byte, as natively.
test-wasm: $(PLAIN)
	@tools/find.sh node >/dev/null || { echo "test-wasm: left out, there is no node"; exit 0; }; \
	set -x; TZ=Pacific/Auckland LANG=tr_TR.UTF-8 GOOS=js GOARCH=wasm $(GO) test $(FOR_WASM) -exec $(NODE_EXEC) -run SameWorld ./engine

test-browser: server
	@chromium=$$(tools/find.sh browser) || { echo "test-browser: left out, there is no Chromium or Chrome (set CHROME to name one)"; exit 0; }; \
	set -x; cd test/browser && CHROME="$$chromium" JOINERY="$(CURDIR)/joinery" ARTIFACTS="$(CURDIR)/artifacts" $(GO) test -count=1 -timeout 20m ./...

# The budgets of app.wasm without the minute that brotli 11 takes.
test-size: site
	$(GO) run ./tools/press -quality 5 size $(WASM) $(FOR_WASM)

# A join beside its bare crypto, 1,000 joins beside one, and the start of the
# page beside that of an empty go-app page.
bench: server
	JOINERY_BENCH=1 $(GO) test -count=1 -v -run TestSpeed ./engine
	mkdir -p .work/empty
	GOOS=js GOARCH=wasm $(GO) build $(FOR_WASM) -ldflags '-s -w' -o .work/empty/app.wasm ./tools/empty
	cp tools/empty/index.html tools/empty/boot.js "$$($(GO) env GOROOT)/lib/wasm/wasm_exec.js" .work/empty/
	$(GO) run ./tools/press -quality $(BROTLI) site .work/empty
	@chromium=$$(tools/find.sh browser) || { echo "bench: the start is not measured, there is no Chromium or Chrome"; exit 0; }; \
	set -x; cd test/browser && CHROME="$$chromium" JOINERY="$(CURDIR)/joinery" JOINERY_EMPTY="$(CURDIR)/.work/empty" $(GO) test -count=1 -v -run TestReady ./...

# Clusters of 100 to 5,000 nodes, a year of 1,000, and a leap over one: some minutes.
bench-scale:
	JOINERY_BENCH=1 $(GO) test -count=1 -v -timeout 1h -run 'TestScale|TestYear|TestLeap' ./engine

# app.wasm against its budgets, as a release is pressed.
size: wasm
	$(GO) run ./tools/press -quality 11 size $(WASM) $(FOR_WASM)

lint: $(PLAIN)
	@bad=$$(gofmt -l . ); test -z "$$bad" || { echo "gofmt these: $$bad"; exit 1; }
	$(GO) vet ./...
	GOOS=js GOARCH=wasm $(GO) vet $(FOR_WASM) ./wasm ./web/... ./lessons ./engine/... ./tools/empty

# Every fuzz target for a time; what it finds is put into testdata/fuzz and runs
# with the tests from then on.
FUZZTIME ?= 30s
fuzz:
	@for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u); do \
		for target in $$(grep -h --include='*_test.go' -o '^func Fuzz[A-Za-z]*' $$dir/*_test.go | cut -c6-); do \
			echo "$$dir $$target"; $(GO) test $$dir -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) || exit 1; \
		done; \
	done

clean:
	rm -rf dist artifacts joinery .work
	find server/site -mindepth 1 ! -name .keep -delete
