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
        hire();
        worker.postMessage(JSON.stringify({ open: { config: {}, journal: journal ? JSON.parse(journal) : undefined } }));
        return;
      }
      once.set("resume", "1");
      location.reload();
    };
    $("crash-fresh").onclick = () => location.reload();

    const stop = (id, detail) => {
      $("loading").hidden = true;
      $(id).hidden = false;
      if (detail) $(id + "-detail").textContent = detail;
    };

    if (typeof WebAssembly !== "object" || typeof WebAssembly.compile !== "function") return stop("nowasm");
    start().catch((err) => stop("failed", String(err && err.message || err)));

    async function start() {
      module = await download();
      if (query.get("worker") !== "0") hire();
      joinery.worker = worker !== null;
      const go = new Go();
      const lines = catchLines();
      const instance = await WebAssembly.instantiate(module, go.importObject);
      await go.run(instance);
      joinery.crashed(lines.join("\n"));
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
      const mb = (n) => (n / 1e6).toFixed(1);
      let got = 0;
      if (!total) $("loading-bar").removeAttribute("value");
      for (const reader = body.getReader(); ;) {
        const { done, value } = await reader.read();
        if (done) break;
        got += value.length;
        $("loading-bytes").textContent = mb(got) + (total ? " / " + mb(total) : "") + " MB";
        if (total) $("loading-bar").value = got / total;
      }
      $("loading-bar").removeAttribute("value");
    }

    // hire starts the engine's Worker; where one can't be had the engine runs
    // in the page. A frame of opaque origin gets it by way of a blob.
    function hire() {
      const script = here("boot.js");
      const ways = [
        () => new Worker(script),
        () => new Worker(URL.createObjectURL(new Blob(["self.joineryBase=" + JSON.stringify(script) + ";importScripts(" + JSON.stringify(script) + ")"], { type: "text/javascript" }))),
      ];
      worker = null;
      for (const way of ways) {
        try { worker = way(); break; } catch { }
      }
      if (!worker) return;
      let spoke = false;
      worker.onmessage = ({ data }) => {
        spoke = true;
        if (typeof data === "string") joinery.hear(data);
        else if (data.crash) joinery.crashed(data.crash);
      };
      worker.onerror = (event) => {
        if (spoke) return joinery.crashed(event.message || "the engine's Worker ended");
        // It never began: a policy forbids Workers. Then without one.
        const without = new URL(location.href);
        without.searchParams.set("worker", "0");
        location.replace(without);
      };
      worker.postMessage({ module });
    }
  }
})();
