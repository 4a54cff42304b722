// The five globals that a go-app program asks for, and its start.
window.goappGetenv = () => '';
window.goappNav = () => {};
window.goappOnUpdate = () => {};
window.goappOnAppInstallChange = () => {};
window.goappKeepBodyClean = () => ({ release() {} });
const go = new Go();
WebAssembly.instantiateStreaming(fetch('app.wasm'), go.importObject).then((r) => go.run(r.instance));
