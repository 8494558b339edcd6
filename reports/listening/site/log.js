// One session: what it is, and its lines, which are only ever added to.
//
// Kept under `listening/<bundle>/<participant>/`: `meta`, `lease`, and `line/<seq>` each.
"use strict";

(() => {
  const L = window.Listening;
  const root = () => `listening/${L.bundle.bundle_id}/`;
  const prefix = (participant) => `${root()}p/${encodeURIComponent(participant)}/`;

  // JSON that is one line for every reader: some end lines at these characters too.
  const oneLine = (value) => JSON.stringify(value).replace(/[\u0085\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);

  class Elsewhere extends Error {}

  const log = {
    meta: null,
    lines: [],
    added: () => {},
    leaseKey: (participant) => `${prefix(participant)}lease`,

    // Facts of the session of a participant that is on this device, or null.
    find(participant) {
      try {
        return JSON.parse(L.store.get(`${prefix(participant)}meta`));
      } catch {
        return null;
      }
    },

    create(meta) {
      log.erase(meta.participant);
      log.meta = meta;
      log.lines = [];
      log.keep();
      L.store.set(`${root()}last`, JSON.stringify(meta.participant));
      L.lease.take(log.leaseKey(meta.participant));
    },

    open(participant) {
      log.meta = log.find(participant);
      log.lines = [];
      for (let seq = 0; ; seq += 1) {
        const line = L.store.get(`${prefix(participant)}line/${seq}`);
        if (line === null) break;
        log.lines.push(line);
      }
      L.lease.take(log.leaseKey(participant));
    },

    // Write the facts of the session after a change.
    keep() {
      L.store.set(`${prefix(log.meta.participant)}meta`, JSON.stringify(log.meta));
    },

    // Add a line; an error where another tab has the session now.
    append(line) {
      const seq = log.lines.length;
      const key = `${prefix(log.meta.participant)}line/${seq}`;
      if (!L.lease.mine() || L.store.get(key) !== null) {
        L.lease.lose();
        throw new Elsewhere();
      }
      const { type, ...rest } = line;
      const text = oneLine({ type, seq, at: new Date().toISOString(), ...rest });
      L.store.set(key, text);
      log.lines.push(text);
      log.added();
    },

    ended: () => log.lines.length > 0 && JSON.parse(log.lines.at(-1)).type === "end",
    records: () => log.lines.map((line) => JSON.parse(line)),
    text: () => log.lines.map((line) => `${line}\n`).join(""),
    file: () => `${L.bundle.bundle_id}-${log.meta.session}.jsonl`,

    // Remove the lines from this device: they are stored elsewhere.
    dropLines() {
      for (const key of L.store.below(`${prefix(log.meta.participant)}line/`)) L.store.remove(key);
      log.lines = [];
    },

    // Remove what is on this device of a participant's session.
    erase(participant) {
      for (const key of L.store.below(prefix(participant))) L.store.remove(key);
    },

    // The participant of the session that was begun last on this device, or null.
    last() {
      try {
        return JSON.parse(L.store.get(`${root()}last`));
      } catch {
        return null;
      }
    },
    forgetLast: () => L.store.remove(`${root()}last`),
  };

  // A tab remembers whose session it shows, so that a reload goes on without asking.
  L.who = {
    get() {
      try {
        return JSON.parse(sessionStorage.getItem(`${root()}who`));
      } catch {
        return null;
      }
    },
    set(participant) {
      try {
        if (participant === null) sessionStorage.removeItem(`${root()}who`);
        else sessionStorage.setItem(`${root()}who`, JSON.stringify(participant));
      } catch {
        // Without it the page asks once more.
      }
    },
  };

  L.Elsewhere = Elsewhere;
  L.log = log;
})();
