// What stays on this device, and which tab may write it.
"use strict";

(() => {
  const L = window.Listening;
  const FRESH_MS = 4000; // a lease that was not renewed for this long is nobody's
  const memory = new Map();
  let persistent = true;

  // From the first failure on, what is new stays in memory; what was kept is a valid beginning.
  function failed(error) {
    if (!persistent) return;
    persistent = false;
    queueMicrotask(() => L.storeFailed(error)); // not in the middle of a line
  }

  const store = {
    get persistent() { return persistent; },
    get(key) {
      if (memory.has(key)) return memory.get(key);
      try {
        return localStorage.getItem(key);
      } catch (error) {
        failed(error);
        return null;
      }
    },
    set(key, value) {
      if (persistent) {
        try {
          localStorage.setItem(key, value);
          return;
        } catch (error) {
          failed(error);
        }
      }
      memory.set(key, value);
    },
    remove(key) {
      memory.delete(key);
      try {
        localStorage.removeItem(key);
      } catch (error) {
        failed(error);
      }
    },
    // Keys of what is stored below a prefix.
    below(prefix) {
      try {
        return [...Object.keys(localStorage), ...memory.keys()].filter((key) => key.startsWith(prefix));
      } catch {
        return [...memory.keys()].filter((key) => key.startsWith(prefix));
      }
    },
  };

  // The tab that holds the lease of a session writes it. Its name is new at every load, since a
  // duplicated tab would inherit one that was kept.
  const tab = L.uuid();
  let held = null;
  let timer = 0;

  const parse = (text) => {
    try {
      return JSON.parse(text) ?? {};
    } catch {
      return {};
    }
  };
  const renew = () => {
    if (!lease.mine()) lease.lose();
    else store.set(held, JSON.stringify({ tab, at: Date.now() }));
  };

  const lease = {
    lost: () => {},
    // Whether another tab holds it and is alive.
    taken(key) {
      const found = parse(store.get(key));
      return found.tab !== undefined && found.tab !== tab && Math.abs(Date.now() - found.at) < FRESH_MS;
    },
    take(key) {
      lease.release();
      held = key;
      store.set(held, JSON.stringify({ tab, at: Date.now() }));
      timer = setInterval(renew, 1000);
    },
    mine: () => held !== null && parse(store.get(held)).tab === tab,
    lose() {
      if (held === null) return;
      held = null;
      clearInterval(timer);
      lease.lost();
    },
    release() {
      clearInterval(timer);
      if (lease.mine()) store.remove(held);
      held = null;
    },
  };

  addEventListener("storage", (event) => {
    if (held !== null && (event.key === held || event.key === null) && !lease.mine()) lease.lose();
  });

  L.store = store;
  L.lease = lease;
})();
