// boot.js starts Joinery. In the page it downloads and compiles app.wasm, hands
// the module to a Worker in which the engine runs, and starts the same module
// as the page. Loaded as that Worker's script it waits for the module.
//
// What must survive a crash of the program is kept here, outside Go: the
// journal of the world, and the way to go on from it.
"use strict";

(() => {
  const inWorker = typeof document === "undefined";
  return inWorker ? engine() : page();

  // engine is the Worker's side.
  function engine() {
    importScripts(new URL("wasm_exec.js", self.joineryBase || self.location.href).href);
    const waiting = [];
    self.joinery = {
      hear: null,
      post: (text) => self.postMessage(text),
      ready: () => waiting.splice(0).forEach((text) => self.joinery.hear(text)),
    };
    self.onmessage = async ({ data }) => {
      if (typeof data === "string") {
        if (self.joinery.hear) self.joinery.hear(data);
        else waiting.push(data);
        return;
      }
      self.postMessage({ began: true });
      const lines = catchLines();
      try {
        const go = new Go();
        await go.run(await WebAssembly.instantiate(data.module, go.importObject));
      } catch (err) {
        lines.push(String(err));
      }
      self.postMessage({ crash: lines.join("\n") || "the engine ended" });
    };
  }

  // catchLines keeps the first lines that a dying Go program writes.
  function catchLines() {
    const lines = [];
    const log = console.log;
    console.log = (...args) => {
      if (lines.length < 3) lines.push(args.join(" "));
      log(...args);
    };
    return lines;
  }

  function page() {
    const $ = (id) => document.getElementById(id);
    const base = document.currentScript.src;
    const here = (name) => new URL(name, base).href;
    const query = new URLSearchParams(location.search);

    // go-app reads both storages when it starts; a sandboxed frame has none and
    // throws. There a map stands in for them.
    for (const kind of ["localStorage", "sessionStorage"]) {
      try {
        void window[kind];
      } catch {
        const kept = new Map();
        const value = {
          getItem: (k) => kept.has(k) ? kept.get(k) : null, setItem: (k, v) => { kept.set(k, String(v)); },
          removeItem: (k) => { kept.delete(k); }, clear: () => kept.clear(), key: (i) => [...kept.keys()][i] ?? null, get length() { return kept.size; },
        };
        Object.defineProperty(window, kind, { value, configurable: true });
      }
    }

    // Storage is a convenience: without it (private windows, sandboxed frames)
    // everything works until the page is left.
    const storage = (kind) => ({
      get: (key) => { try { return window[kind].getItem("joinery." + key); } catch { return null; } },
      set: (key, value) => { try { window[kind].setItem("joinery." + key, value); } catch { } },
    });
    const lasting = storage("localStorage"), once = storage("sessionStorage");

    const wishes = [query.get("lang"), lasting.get("lang"), ...(navigator.languages || [])].filter(Boolean);
    const lang = wishes.map((w) => w.slice(0, 2).toLowerCase()).find((w) => w === "en" || w === "zh") || "en";
    document.documentElement.lang = lang;
    if (query.has("embed") || /\/embed(\.html|\/)?$/.test(location.pathname)) document.documentElement.dataset.embed = "true";

    let journal = once.get("resume") ? lasting.get("journal") : null;
    once.set("resume", "");
    let worker = null, module = null;

    const joinery = window.joinery = {
      hear: null,
      worker: false,
      journal,
      opening: null,
      drawn: null,
      post: (text) => worker.postMessage(text),
      store: (key, value) => lasting.set(key, value),
      keep: (text) => { journal = text; lasting.set("journal", text); },
      crashed: (text) => {
        $("crash-detail").textContent = text;
        $("crash").hidden = false;
        $("crash-again").focus();
      },
    };
    // What go-app asks the page for.
    Object.assign(window, {
      goappGetenv: () => "", goappNav: () => { }, goappOnUpdate: () => { },
      goappOnAppInstallChange: () => { }, goappKeepBodyClean: () => () => { },
    });

    if (typeof WebAssembly !== "object" || typeof WebAssembly.compile !== "function") return parsed(() => stop("nowasm"));
    // The download begins before the page is parsed, let alone styled.
    const program = download(), opening = journal ? null : foretell();
    program.catch(() => { });
    parsed(() => {
      handle();
      start().catch((err) => stop("failed", String(err && err.message || err)));
    });

    function parsed(then) {
      if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", then);
      else then();
    }

    function stop(id, detail) {
      $("loading").hidden = true;
      $(id).hidden = false;
      if (detail) $(id + "-detail").textContent = detail;
    }

    // handle gives the buttons of the crash box their work.
    function handle() {
      $("crash-save").onclick = () => {
        const a = document.createElement("a");
        a.href = URL.createObjectURL(new Blob([journal || "{}"], { type: "application/json" }));
        a.download = "joinery-journal.json";
        a.click();
      };
      $("crash-again").onclick = () => {
        $("crash").hidden = true;
        if (worker && joinery.hear) {
          worker.terminate();
          hire(false);
          worker.postMessage(JSON.stringify({ open: { config: {}, journal: journal ? JSON.parse(journal) : undefined } }));
          return;
        }
        once.set("resume", "1");
        location.reload();
      };
      $("crash-fresh").onclick = () => location.reload();
    }

    async function start() {
      module = await program;
      joinery.opening = await opening;
      if (query.get("worker") !== "0") await hire(joinery.opening !== null);
      joinery.worker = worker !== null;
      const go = new Go();
      const lines = catchLines();
      const instance = await WebAssembly.instantiate(module, go.importObject);
      await go.run(instance);
      joinery.crashed(lines.join("\n"));
    }

    // foretell gets the first picture of the usual world, drawn when the site
    // was built: the page need not wait for the engine to draw the same again.
    async function foretell() {
      try {
        const answer = await fetch(here("opening.json"));
        return answer.ok ? await answer.text() : null;
      } catch {
        return null;
      }
    }

    // download fetches and compiles at once. The real Response is compiled, so
    // that the browser can keep the compiled code; its twin is only counted.
    async function download() {
      const answer = await fetch(here("app.wasm"));
      if (!answer.ok) throw new Error("app.wasm: " + answer.status + " " + answer.statusText);
      const total = Number(answer.headers.get("X-Raw-Length")) || (answer.headers.get("Content-Encoding") ? 0 : Number(answer.headers.get("Content-Length")));
      count(answer.clone().body, total).catch(() => { });
      if (WebAssembly.compileStreaming && /^application\/wasm/.test(answer.headers.get("Content-Type") || ""))
        return WebAssembly.compileStreaming(answer);
      return WebAssembly.compile(await answer.arrayBuffer());
    }

    async function count(body, total) {
      if (!body) return;
      await new Promise(parsed);
      const mb = (n) => (n / 1e6).toFixed(1);
      let got = 0, told = 0;
      if (!total) $("loading-bar").removeAttribute("value");
      for (const reader = body.getReader(); ;) {
        const { done, value } = await reader.read();
        if (done) break;
        got += value.length;
        if (performance.now() - told < 50) continue;
        told = performance.now();
        $("loading-bytes").textContent = mb(got) + (total ? " / " + mb(total) : "") + " MB";
        if (total) $("loading-bar").value = got / total;
      }
      $("loading-bar").removeAttribute("value");
    }

    // hire starts the engine's Worker; where one can't be had the engine runs
    // in the page. A frame of opaque origin gets it by way of a blob, and is
    // asked whether it began: the module may not be let through to it. A Worker
    // that has time begins when the page is drawn, so as not to hold it up.
    async function hire(time) {
      const script = here("boot.js");
      worker = null;
      try {
        worker = new Worker(script);
      } catch { }
      const direct = worker !== null;
      try {
        const text = "self.joineryBase=" + JSON.stringify(script) + ";importScripts(" + JSON.stringify(script) + ")";
        worker = worker || new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
      } catch { }
      if (!worker) return;
      let began = false;
      const verdict = new Promise((decide) => {
        worker.onmessage = ({ data }) => {
          if (typeof data === "string") return joinery.hear(data);
          if (data.crash) return joinery.crashed(data.crash);
          began = true;
          decide(true);
        };
        worker.onerror = (event) => {
          event.preventDefault();
          if (began) return joinery.crashed(event.message || "the engine's Worker ended");
          decide(false);
          if (!direct) return;
          // It never began: a policy forbids Workers. Then without one.
          const without = new URL(location.href);
          without.searchParams.set("worker", "0");
          location.replace(without);
        };
        if (!direct) setTimeout(decide, 2000, false);
      });
      const hired = worker, begin = () => hired.postMessage({ module });
      if (direct && time) joinery.drawn = begin;
      else begin();
      if (direct || await verdict) return;
      worker.terminate();
      worker = null;
    }
  }
})();
