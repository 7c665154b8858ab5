// Browsers start no workers from the disk; the search then runs in a hidden frame.
if (location.protocol === "file:")
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const base = new URL(url, document.baseURI);
      const frame = document.body.appendChild(Object.assign(document.createElement("iframe"), { hidden: true }));
      const inside = frame.contentWindow;
      const load = (script) =>
        new Promise((resolve, reject) => {
          const tag = inside.document.createElement("script");
          Object.assign(tag, { src: new URL(script, base), async: false, onload: resolve, onerror: reject });
          inside.document.head.append(tag);
        });
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.importScripts = (...scripts) => Promise.all(scripts.map(load));
      const ready = load(base);
      this.postMessage = (data) => ready.then(() => inside.dispatchEvent(new inside.MessageEvent("message", { data })));
      this.terminate = () => frame.remove();
    }
  };
