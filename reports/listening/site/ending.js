// The end: answers stored or saved first, the completion code after that.
"use strict";

(() => {
  const L = window.Listening;
  const { h, say } = L;
  const TRIES = 4;

  const contact = () => (L.bundle.contact ? say("save_to", { contact: L.bundle.contact }) : "");

  function download() {
    const url = URL.createObjectURL(new Blob([L.log.text()], { type: "application/x-ndjson" }));
    h("a", { href: url, download: L.log.file() }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  }

  async function copy(status) {
    try {
      await navigator.clipboard.writeText(L.log.text());
      status.textContent = say("copied");
    } catch {
      status.textContent = say("not_copied");
    }
  }

  // Buttons to save the answers; `saved` is called once they were.
  function saving(saved, ...more) {
    const status = h("p", { class: "status", role: "status" });
    const save = () => {
      download();
      status.textContent = say("saved", { file: L.log.file() });
      saved();
    };
    return [h("div", { class: "row" }, L.button(say("save"), save),
      h("button", { type: "button", click: () => copy(status) }, say("copy")), ...more), status];
  }

  function code() {
    const { code: text, redirect } = L.bundle.completion;
    const safe = redirect && /^https:\/\/[^/\s]/.test(redirect) && URL.canParse?.(redirect) !== false;
    return h("div", { class: "done" },
      text ? [h("p", { class: "small" }, say("done_code")), h("p", { class: "code" }, text)] : [],
      safe ? h("p", { class: "row" }, h("a", { class: "main", href: redirect, rel: "noreferrer" }, say("done_link"))) : null);
  }

  const anew = () => (L.asked.participant ? null
    : h("div", { class: "row" }, h("button", { type: "button", click: () => { L.who.set(null); L.lease.release(); L.log.meta = null; L.welcome(); } }, say("anew"))));

  function stored() {
    L.notice("unsent", null);
    if (!L.log.meta.done) {
      L.log.meta.done = true;
      L.log.keep();
      L.log.dropLines();
    }
    L.progress();
    L.show(say("done_title"), h("p", {}, say("done_sent")), code(), anew());
  }

  // The answers go by hand; the code appears once the file was saved.
  function byHand(title, note, ...more) {
    const end = h("div", { "aria-live": "polite" });
    const saved = () => {
      L.log.meta.saved = true;
      L.log.keep();
      if (!end.firstChild) end.append(h("h2", {}, say("done_title")), h("p", {}, say("done_saved")), code(), anew() ?? "");
    };
    L.progress();
    L.show(title, h("p", {}, note), saving(saved, ...more), end);
    if (L.log.meta.saved) saved();
  }

  async function send() {
    L.progress();
    L.show(say("sending_title"), h("p", {}, say("sending_note")));
    const { session } = L.log.meta;
    const ok = L.sender.complete || await L.sender.flush(TRIES);
    const here = () => L.log.meta?.session === session && L.lease.mine(); // not withdrawn, this tab
    if (!here()) return;
    if (ok) {
      stored();
      return;
    }
    const again = h("button", { type: "button", click: send }, say("again"));
    byHand(say("failed_title"), say("failed_note", { contact: contact() }), again);
    if (await L.sender.flush(Infinity) && here()) stored();
  }

  // Show what comes after the last answer.
  L.ending = () => {
    if (L.log.meta.done) stored();
    else if (L.log.meta.mode === "collector") send();
    else byHand(say("save_title"), say("save_note", { contact: contact() }));
  };
})();
