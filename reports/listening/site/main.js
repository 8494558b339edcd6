// The course of a session. Where it stands follows from its lines alone: every step ends with one
// line of its type, so that a reload goes on at the same place.
"use strict";

(() => {
  const L = window.Listening;
  const { h, say } = L;

  function steps(list) {
    const { bundle } = L;
    const trials = L.lists[list];
    const out = [];
    if (bundle.eligibility.length) out.push({ kind: "eligibility" });
    if (bundle.volume) out.push({ kind: "volume" });
    if (bundle.headphones?.tokens.length) out.push({ kind: "headphones" });
    out.push({ kind: "instructions" });
    bundle.practice.forEach((trial, place) =>
      out.push({ kind: "practice", trial, position: place + 1, total: bundle.practice.length }));
    if (bundle.practice.length) out.push({ kind: "begin", total: trials.length });
    trials.forEach((trial, place) => {
      const rest = place > 0 && bundle.break_every > 0 && place % bundle.break_every === 0;
      if (rest) out.push({ kind: "break", position: place, total: trials.length });
      out.push({ kind: "rating", trial, position: place + 1, total: trials.length });
    });
    if (bundle.questionnaire.length) out.push({ kind: "questionnaire" });
    return [...out, { kind: "end" }];
  }

  const kindOf = (line) => (line.type === "event" ? line.name : line.type);

  // The place of the first step that has no line yet.
  function reached(course) {
    let place = 0;
    for (const line of L.log.records()) if (kindOf(line) === course[place]?.kind) place += 1;
    return place;
  }

  const tokensOf = ({ trial }) => [...trial.tokens, ...(trial.reference ? [trial.reference] : [])];

  function prepare(course, place) {
    const next = course.slice(place).filter((step) => step.trial).slice(0, course[place].trial ? 3 : 2);
    const here = { volume: [L.bundle.volume], headphones: L.bundle.headphones?.tokens }[course[place].kind];
    L.keepLoaded([...new Set([...(here ?? []), ...next.flatMap(tokensOf)])]);
  }

  function showProgress({ kind, position, total }) {
    if (kind === "rating") L.progress((position - 1) / total, say("trial_of", { n: position, total }));
    else L.progress();
  }

  async function run(session) {
    const course = steps(L.log.meta.list);
    const current = () => L.log.meta?.session === session && L.lease.mine();
    for (let place = reached(course); place < course.length; place += 1) {
      const step = course[place];
      prepare(course, place);
      showProgress(step);
      const line = step.kind === "end" ? { type: "end", complete: true } : await L.screens[step.kind](step);
      if (!current()) return;
      L.log.append(line);
    }
    L.keepLoaded([]);
    L.ending();
  }

  // Go on with the open session from where it stands.
  L.proceed = () => {
    L.$("withdraw").hidden = false;
    L.sender.pump();
    run(L.log.meta.session).catch((error) => {
      if (!(error instanceof L.Elsewhere)) throw error; // the other tab's screen is shown by then
    });
  };

  function open(participant) {
    L.sender.reset();
    L.log.open(participant);
    if (L.log.meta === null) {
      L.lease.release();
      L.welcome();
      return;
    }
    L.who.set(participant);
    if (L.log.meta.done) {
      L.$("withdraw").hidden = false;
      L.ending();
      return;
    }
    if (!L.log.ended()) L.log.append({ type: "event", name: "resume", detail: null });
    L.proceed();
  }

  function elsewhere(participant) {
    L.progress();
    L.$("withdraw").hidden = true;
    L.log.meta = null;
    L.show(say("other_title"), h("p", {}, say("other_note")),
      h("div", { class: "row" }, L.button(say("other_go"), () => open(participant))));
  }

  // Enter the session of a participant: the one on this device, or a new one by `begin`.
  L.enter = (participant, begin = null) => {
    if (L.lease.taken(L.log.leaseKey(participant))) return elsewhere(participant) ?? null;
    const known = L.log.find(participant);
    const fresh = begin && (known === null || participant === "");
    return fresh ? begin(participant) : open(participant) ?? null;
  };

  function start() {
    const obstacle = L.obstacle();
    if (obstacle) {
      L.show(say("wrong_title"), h("p", {}, say(...obstacle)));
      return;
    }
    L.frame();
    L.stayAwake();
    L.log.added = () => L.sender.pump();
    L.sender.changed = () => {
      const waiting = L.log.meta && !L.log.ended() && L.sender.failing;
      L.notice("unsent", waiting ? say("unsent") : null);
    };
    L.lease.lost = () => elsewhere(L.log.meta.participant);
    const participant = L.asked.participant || L.who.get() || "";
    const last = L.log.last();
    const known = (name) => name !== null && L.log.find(name) !== null;
    const over = (name) => L.log.find(name).done || L.log.find(name).saved;
    if (known(L.asked.participant || L.who.get())) L.enter(participant);
    else if (!L.asked.participant && known(last) && !over(last)) L.welcomeBack(last);
    else L.welcome();
  }

  addEventListener("pagehide", () => L.lease.release());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  start();
})();
