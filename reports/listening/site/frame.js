// What surrounds every screen: title, progress, banner, withdrawing, and the change of screens.
"use strict";

(() => {
  const L = window.Listening;
  const { h, say, $ } = L;
  const notices = new Map();

  // Show a screen in place of the one before; the heading takes the focus, so that it is read out.
  L.show = (title, ...body) => {
    L.leaveClips();
    L.onKey = null;
    const heading = h("h1", { tabindex: -1 }, title);
    $("main").replaceChildren(heading, ...body.flat().filter((part) => part !== null));
    window.scrollTo(0, 0);
    heading.focus({ preventScroll: true });
  };

  // The line below the header: the share that is done, in words too; nothing where there is none.
  L.progress = (share = null, text = "") => {
    $("line").hidden = share === null;
    $("line").value = share ?? 0;
    $("line").setAttribute("aria-label", text);
  };

  // A line below the header that stays until it is taken away (`text` null).
  L.notice = (name, text) => {
    if (text === null) notices.delete(name);
    else notices.set(name, text);
    const wanted = [...notices.values()].join("\n");
    const banner = $("banner");
    if (banner.dataset.text === wanted) return;
    banner.dataset.text = wanted;
    banner.replaceChildren(...[...notices.values()].map((one) => h("p", {}, one)));
  };

  L.button = (text, act, attributes = {}) =>
    h("button", { type: "button", class: "main", click: act, ...attributes }, text);

  // Keep the screen on while the page is seen, where the browser can.
  L.stayAwake = () => {
    const ask = () => {
      if (!document.hidden) navigator.wakeLock?.request("screen").catch(() => {});
    };
    document.addEventListener("visibilitychange", ask);
    ask();
  };

  // Record that something went wrong, where there is a session to record it in.
  L.problem = (code, token, trial, detail) => {
    if (!L.log.meta || L.log.ended()) return;
    try {
      L.log.append({ type: "problem", code, token, trial, detail });
    } catch (error) {
      if (!(error instanceof L.Elsewhere)) throw error; // the other tab's screen is shown by then
    }
  };

  let unrecorded = null;
  L.recordStorage = () => {
    if (unrecorded === null || !L.log.meta) return;
    L.problem("storage", null, null, unrecorded);
    unrecorded = null;
  };

  L.storeFailed = (error) => {
    L.notice("storage", say("no_storage"));
    unrecorded = String(error);
    L.recordStorage();
    addEventListener("beforeunload", (event) => { if (L.log.meta) event.preventDefault(); });
  };

  const contact = () => L.bundle.contact;

  function ask() {
    const sure = $("dialog");
    const told = L.log.meta?.mode === "collector";
    const close = () => sure.close();
    sure.replaceChildren(
      h("h2", { id: "dialog-title" }, say("delete_title")),
      h("p", {}, say(told ? "delete_note" : "delete_local")),
      h("div", { class: "row" },
        L.button(say("delete_no"), close),
        L.button(say("delete_yes"), () => { close(); withdraw(); }, { class: "danger" })),
    );
    sure.showModal();
  }

  async function withdraw() {
    const { meta } = L.log;
    $("withdraw").hidden = true;
    L.progress();
    L.show(say("gone_title"));
    const told = meta.mode === "collector" ? await L.sender.withdraw() : null;
    L.forget();
    L.notice("unsent", null);
    L.show(say("gone_title"), h("p", {}, say("gone_note"), told ? ` ${say("gone_told")}` : ""),
      told === false ? h("p", {}, say("gone_untold", { contact: contact() || "—", session: meta.session })) : null);
  }

  // Remove the session from this device and from this tab.
  L.forget = () => {
    const { participant } = L.log.meta;
    L.lease.release();
    L.log.erase(participant);
    L.log.forgetLast();
    L.who.set(null);
    L.log.meta = null;
    L.log.lines = [];
  };

  L.frame = () => {
    const { bundle } = L;
    document.title = bundle.title;
    $("title").replaceChildren(L.own("span", bundle.title));
    $("withdraw").textContent = say("withdraw");
    $("withdraw").addEventListener("click", ask);
    if (contact()) $("foot").textContent = say("contact", { contact: contact() });
    if (bundle.words) document.documentElement.lang = bundle.language;
  };

  // Characters that are keys here must still be characters where one writes.
  const writing = (node) => node.matches("textarea, select, input:not([type=radio]):not([type=checkbox]):not([type=range])");

  // Enter and Space of what has the focus are its own.
  L.takes = (event) => [" ", "Enter"].includes(event.key)
    && (event.target.matches("button, summary, a, select, input[type=checkbox]")
      || (event.key === " " && event.target.matches("input[type=radio]:not(:checked)")));

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if ($("dialog").open || !L.onKey || writing(event.target)) return;
    if (!L.takes(event) && L.onKey(event)) event.preventDefault();
  });
})();
