// To the collector and back: joining, lines in batches as they come, withdrawal.
"use strict";

(() => {
  const L = window.Listening;
  const TIMEOUT_MS = 10000;
  const BATCH = 50;
  const BEACON_BYTES = 60000; // browsers refuse beacons above 64 KiB

  const address = (path) => new URL(`${L.bundle.endpoint}/${path}`, document.baseURI).href;

  // One request: its status (0 where nothing answered), the JSON of the answer, seconds to wait.
  async function ask(path, body) {
    const stop = new AbortController();
    const timer = setTimeout(() => stop.abort(), TIMEOUT_MS);
    const post = body && {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    };
    try {
      const answer = await fetch(address(path), { ...post, cache: "no-store", signal: stop.signal });
      const values = await answer.json().catch(() => null);
      return { status: answer.status, values, wait: Number(answer.headers.get("Retry-After")) || 0 };
    } catch {
      return { status: 0, values: null, wait: 0 };
    } finally {
      clearTimeout(timer);
    }
  }

  const broken = (status) => status === 0 || status === 429 || status >= 500;

  // Whether a collector is here: its greeting, null where there is none, or a status that failed.
  async function hello() {
    if (!L.served || L.offline || !L.bundle.endpoint) return null;
    for (let tries = 0; ; tries += 1) {
      const { status, values } = await ask("hello");
      if (status === 200 && typeof values?.bundle_id === "string") return values;
      if (!broken(status)) return null;
      if (tries === 2) return { failed: status };
      await L.pause(500 * 2 ** tries);
    }
  }

  const join = (meta) => ask("sessions", {
    session: meta.session, secret: meta.secret, participant: meta.participant, study: meta.study,
    submission: meta.submission, bundle_id: L.bundle.bundle_id, content_sha256: L.bundle.content_sha256,
  });

  let sent = 0; // lines that are stored there
  let batch = BATCH;
  let failures = 0; // in a row
  let complete = false;
  let refused = null; // why sending again is no use
  let running = null;
  let stopped = false;
  let wake = () => {};
  let watch = () => {};

  const path = () => `sessions/${L.log.meta.session}/events`;
  const active = () => L.log.meta?.mode === "collector" && !stopped;

  // Look at the answer to a batch; returns whether it was taken.
  async function take({ status, values }, size) {
    if (!active()) return false;
    const next = values?.next_seq;
    if (status === 200) {
      if (!Number.isInteger(next) || next > L.log.lines.length) refused = "next_seq";
      else [sent, complete] = [next, values.complete === true];
      return refused === null && (complete || sent < L.log.lines.length || !L.log.ended());
    }
    if (status === 409 && Number.isInteger(next) && next < sent) sent = next;
    else if (status === 413 && size > 1) batch = Math.ceil(size / 2);
    else if (status === 404 && failures < 2) await join(L.log.meta);
    else if (!broken(status)) refused = String(status);
    return false;
  }

  async function run() {
    while (active() && refused === null && (sent < L.log.lines.length || (L.log.ended() && !complete))) {
      const from = Math.min(sent, L.log.lines.length - 1); // the last again, to hear of completion
      const lines = L.log.lines.slice(from, from + batch);
      const answer = await ask(path(), { secret: L.log.meta.secret, lines });
      const taken = await take(answer, lines.length);
      failures = taken ? 0 : failures + 1;
      sender.changed();
      watch();
      if (taken) continue;
      const delay = Math.max(Math.min(500 * 2 ** (failures - 1), 30000), answer.wait * 1000);
      await Promise.race([L.pause(delay), new Promise((resolve) => { wake = resolve; })]);
    }
    watch();
  }

  const sender = {
    hello,
    join,
    changed: () => {},
    get failing() { return failures > 1 || refused !== null; },
    get complete() { return complete; },

    // Forget what is known of the other side: a session was opened.
    reset() {
      [sent, failures, complete, refused, stopped] = [0, 0, false, null, false];
    },

    pump() {
      if (running || !active()) return;
      running = run().finally(() => {
        running = null;
        sender.changed();
        if (sent < L.log.lines.length && refused === null) sender.pump();
      });
    },

    // Wait until everything is stored (true) or `tries` in a row have failed (false).
    flush(tries) {
      failures = 0;
      refused = null;
      return new Promise((resolve) => {
        watch = () => {
          if (complete || refused !== null || failures >= tries) resolve(complete);
        };
        sender.pump();
        wake();
        watch();
      });
    },

    // Tell the collector of a withdrawal, in place of the lines that it doesn't have yet.
    async withdraw() {
      stopped = true;
      wake();
      await running;
      const { meta } = L.log;
      for (let tries = 0; tries < 4; tries += 1) {
        const joined = await join(meta); // it knows the next number, whatever was lost on the way
        const seq = joined.values?.next_seq;
        const line = JSON.stringify({ type: "withdraw", seq, at: new Date().toISOString() });
        const told = joined.status === 200 ? await ask(path(), { secret: meta.secret, lines: [line] }) : joined;
        if (told.status === 200) return true;
        if (!broken(told.status) && (told.status !== 409 || tries > 0)) return false;
        await L.pause(500 * 2 ** tries);
      }
      return false;
    },
  };

  // What the page could not send before it goes.
  addEventListener("pagehide", () => {
    if (!active() || sent >= L.log.lines.length) return;
    const lines = [];
    let size = 100;
    for (const line of L.log.lines.slice(sent)) {
      size += new TextEncoder().encode(JSON.stringify(line)).length + 1;
      if (size > BEACON_BYTES) break;
      lines.push(line);
    }
    const body = JSON.stringify({ secret: L.log.meta.secret, lines });
    navigator.sendBeacon(address(path()), new Blob([body], { type: "application/json" }));
  });
  addEventListener("online", () => wake());

  L.sender = sender;
})();
