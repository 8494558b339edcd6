// Audio: from beside the page, checked against its hash where the page is served, or from within it.
"use strict";

(() => {
  const L = window.Listening;
  const kept = new Map(); // by token: a promise of { url } or { code, detail }

  const address = (token) => `${L.bundle.audio.folder}/${token}${L.bundle.audio.suffix}`;

  async function fetched(token, fresh) {
    let answer;
    let bytes;
    try {
      answer = await fetch(address(token), { cache: fresh ? "reload" : "default" });
      if (!answer.ok) return { code: "missing", detail: `status ${answer.status}` };
      bytes = new Uint8Array(await answer.arrayBuffer());
    } catch (error) {
      return { code: "missing", detail: String(error) };
    }
    if (L.sha256(bytes) !== L.bundle.audio.sha256[token]) {
      return { code: "tampered", detail: `${bytes.length} bytes` };
    }
    const type = L.bundle.audio.suffix === ".flac" ? "audio/flac" : "audio/wav";
    return { url: URL.createObjectURL(new Blob([bytes], { type })) };
  }

  function open(token, fresh) {
    if (L.offline) {
      const found = document.querySelector(`script[data-token="${token}"]`);
      return Promise.resolve(found ? { url: found.textContent } : { code: "missing", detail: "" });
    }
    return L.served ? fetched(token, fresh) : Promise.resolve({ url: address(token) });
  }

  async function drop(token) {
    const entry = kept.get(token);
    kept.delete(token);
    const { url } = await entry;
    if (url?.startsWith("blob:")) URL.revokeObjectURL(url);
  }

  // Return a promise of { url } or { code, detail }; `fresh` asks again for what failed.
  L.load = (token, fresh = false) => {
    if (!kept.has(token) || fresh) kept.set(token, open(token, fresh));
    return kept.get(token);
  };

  // Have these at hand, and nothing else.
  L.keepLoaded = (tokens) => {
    for (const token of kept.keys()) if (!tokens.includes(token)) drop(token);
    for (const token of tokens) L.load(token);
  };
})();
