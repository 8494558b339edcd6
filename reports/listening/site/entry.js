// The way in: is everything here, whose session is it, consent, and joining.
"use strict";

(() => {
  const L = window.Listening;
  const { h, say } = L;

  // What keeps the test from starting, or null.
  L.obstacle = () => {
    const { bundle, lists } = L;
    if (bundle?.schema !== 1) return ["wrong_files", { file: "bundle.js" }];
    if (!lists || Object.keys(lists).length === 0) return ["wrong_files", { file: "lists.js" }];
    const { suffix } = bundle.audio;
    const type = suffix === ".flac" ? "audio/flac" : "audio/wav";
    if (new Audio().canPlayType(type) === "") return ["wrong_audio", { suffix }];
    const known = Object.keys(lists);
    if (L.asked.list && !known.includes(L.asked.list)) {
      return ["wrong_list", { list: L.asked.list, known: known.join(", ") }];
    }
    return null;
  };

  // A list without a collector: by the hash of whoever it is.
  L.listOf = (name) => {
    const names = Object.keys(L.lists);
    const digest = L.sha256(new TextEncoder().encode(name));
    return names[parseInt(digest.slice(0, 8), 16) % names.length];
  };

  // Ask the collector for a list; { mode, list }, or { error } in words.
  async function place(meta) {
    // A collector takes no other list than the one it gave: whoever forces one saves a file.
    const found = L.asked.list ? null : await L.sender.hello();
    if (found === null) return { mode: "static", list: L.listOf(meta.participant || meta.session) };
    if (found.failed !== undefined) return { error: say("no_server", { code: found.failed }) };
    if (found.content_sha256 !== L.bundle.content_sha256) return { error: say("other_bundle") };
    if (found.collecting === false) return { error: say("closed") };
    const { status, values } = await L.sender.join(meta);
    if (status === 200 && L.lists[values?.list]) return { mode: "collector", list: values.list };
    if (status === 0 || status >= 500) return { error: say("no_server", { code: status }) };
    const reason = [values?.error, values?.fix].filter(Boolean).join(" ");
    return { error: say("refused", { error: reason || String(status) }) };
  }

  // Begin a session; returns words where that failed.
  async function begin(participant) {
    const meta = {
      session: L.uuid(), secret: L.hex(L.random(16)), participant, study: L.asked.study,
      submission: L.asked.submission,
    };
    const placed = await place(meta);
    if (placed.error) return placed.error;
    const list = L.asked.list || placed.list;
    L.sender.reset();
    L.log.create({ ...meta, ...placed, list });
    L.who.set(participant);
    const { bundle } = L;
    L.log.append({
      type: "session", schema: 1, bundle_id: bundle.bundle_id, content_sha256: bundle.content_sha256,
      session: meta.session, participant, study: meta.study, submission: meta.submission, list,
      simulated: L.asked.simulated, page: L.PAGE, agent: L.screens.agent(),
    });
    L.log.append({ type: "consent", sha256: bundle.consent.sha256, agreed: true });
    if (L.asked.list) L.log.append({ type: "event", name: "list_forced", detail: { list } });
    L.recordStorage();
    L.proceed();
    return null;
  }

  function declined() {
    L.show(say("declined_title"), h("p", {}, say("declined_note")));
  }

  // Information and consent; nothing is stored or sent before the button.
  L.welcome = () => {
    const { consent, minutes } = L.bundle;
    const box = h("input", { type: "checkbox", id: "agree" });
    const fault = h("p", { class: "fault", role: "alert" });
    const name = h("input", { type: "text", id: "who", maxlength: 200, autocomplete: "off", "aria-describedby": "who-note" });
    const named = L.asked.participant ? null : h("div", { class: "field" }, h("label", { for: "who" }, say("name")),
      name, h("p", { class: "small", id: "who-note" }, say("name_note")));
    const start = L.button(say("start"), async () => {
      fault.textContent = box.checked ? "" : say("agree_first");
      if (!box.checked) {
        box.focus();
        return;
      }
      start.disabled = true;
      start.textContent = say("connecting");
      const participant = L.asked.participant || L.clean(name.value.trim());
      fault.textContent = await L.enter(participant, begin) ?? "";
      start.disabled = false;
      start.textContent = say("start");
    });
    L.progress();
    L.$("withdraw").hidden = true;
    L.show(consent.title, minutes ? h("p", { class: "lead" }, say("minutes", { n: minutes })) : null,
      consent.paragraphs.map((text) => L.own("p", text)), named,
      h("label", { class: "option agree" }, box, L.own("span", consent.agree)), fault,
      h("div", { class: "row" }, start, h("button", { type: "button", class: "quiet", click: declined }, say("decline"))));
  };

  // A session was begun on this device, by whom is not certain.
  L.welcomeBack = (participant) => {
    const words = participant ? say("back_named", { name: participant }) : say("back_note");
    L.show(say("back_title"), h("p", {}, words), h("p", { class: "small" }, say("back_deleted")),
      h("div", { class: "row" }, L.button(say("back_go"), () => L.enter(participant)),
        h("button", { type: "button", click: L.welcome }, say("back_new"))));
  };
})();
