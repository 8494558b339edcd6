// The one name of this page, and what all of its files need. Every file is a classic script,
// because browsers load no others from disk.
"use strict";

window.Listening = (() => {
  const query = new URLSearchParams(location.search);

  // Half of a character can't be written as UTF-8, and many a program stumbles over NUL.
  const writable = (text) => text.replace(/\p{Surrogate}|\0/gu, "\ufffd");
  const clean = (text) => writable(text.slice(0, 200));

  // Text reaches the page through here only: as text nodes and attribute values, never as markup.
  function h(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (typeof value === "function") node.addEventListener(name, value);
      else node.setAttribute(name, value === true ? "" : String(value));
    }
    node.append(...children.flat().filter((child) => child || child === 0));
    return node;
  }

  const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const random = (n) => crypto.getRandomValues(new Uint8Array(n));

  // crypto.randomUUID exists in secure contexts only; a test may be served over plain http.
  function uuid() {
    const bytes = random(16);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const digits = hex(bytes);
    const cuts = [0, 8, 12, 16, 20, 32];
    return cuts.slice(1).map((end, place) => digits.slice(cuts[place], end)).join("-");
  }

  const read = (name) => clean(query.get(name) ?? "");

  return {
    PAGE: "1",
    bundle: window.BUNDLE,
    lists: window.LISTS,
    // One file with everything in it: no neighbours to ask for.
    offline: document.querySelector("script[data-token]") !== null,
    served: /^https?:$/.test(location.protocol),
    asked: {
      participant: read("PROLIFIC_PID") || read("participant"),
      study: read("STUDY_ID"),
      submission: read("SESSION_ID"),
      list: read("list"),
      simulated: read("simulated") === "1",
    },
    clean,
    writable,
    h,
    hex,
    random,
    uuid,
    $: (id) => document.getElementById(id),
    pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    // Texts of the bundle carry its language, the page's own that of the page.
    own: (tag, text, attributes = {}) =>
      h(tag, { lang: window.BUNDLE.language, dir: "auto", ...attributes }, text),
  };
})();
