// One clip on the screen: its button, what was heard of it, and what went wrong.
"use strict";

(() => {
  const L = window.Listening;
  const { h, say } = L;
  const PATIENCE_MS = 4000;
  const shown = new Set();

  const ICON = { play: "M5 3.5v13l11-6.5z", pause: "M5 3.5h3.5v13H5zM11.5 3.5H15v13h-3.5z" };
  function icon() {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 20 20");
    svg.setAttribute("aria-hidden", "true");
    svg.append(document.createElementNS("http://www.w3.org/2000/svg", "path"));
    return svg;
  }

  // From disk, a file that is missing and one that is no audio look alike.
  const codeOf = (error) =>
    (L.served || L.offline || error?.code === MediaError.MEDIA_ERR_DECODE ? "decode" : "missing");

  function length(ranges) {
    let sum = 0;
    for (let n = 0; n < ranges.length; n += 1) sum += ranges.end(n) - ranges.start(n);
    return sum;
  }

  // Build a clip. `options`: name (what it is called), key (letter), trial (for problems), many
  // (whether others stand beside it), changed(), skip(code).
  L.clip = (token, options) => {
    const audio = h("audio", { preload: "auto" });
    const face = icon();
    const button = h("button", { type: "button", class: "play", disabled: true }, face);
    const state = h("span", { class: "state small" });
    const trouble = h("div", { class: "trouble", role: "alert", hidden: true });
    const caption = h("span", { class: "caption" }, h("b", {}, options.name), state);
    const node = h("div", { class: "clip" }, button, caption, audio, trouble);
    let complete = false; // came to an end with enough of it played: a seek alone is no hearing
    let own = false; // a seek of ours
    let since = null;
    let listened = 0;
    let plays = 0;
    let seeks = 0;
    let failures = 0;
    let status = "loading";
    let watch = 0;

    const duration = () => audio.duration || L.bundle.audio.duration_s?.[token] || 0;
    const share = () => (duration() ? Math.min(1, length(audio.played) / duration()) : 0);
    const heard = () => complete;

    function render() {
      const playing = !audio.paused && !audio.ended;
      face.firstChild.setAttribute("d", playing ? ICON.pause : ICON.play);
      button.setAttribute("aria-label", `${say(playing ? "pause" : "play")}: ${options.name}`);
      button.disabled = status !== "ready";
      node.classList.toggle("is-heard", heard());
      node.classList.toggle("is-playing", playing);
      state.textContent = status === "loading" ? say("loading") : status === "ready" ? say(heard() ? "heard" : "unheard") : "";
      const at = duration() ? audio.currentTime / duration() : 0;
      button.style.setProperty("--progress", String(Math.min(1, at)));
    }

    function follow() {
      render();
      if (!audio.paused && !audio.ended) requestAnimationFrame(follow);
    }

    function count() {
      if (since !== null) listened += performance.now() - since;
      since = null;
    }

    function fail(code, detail) {
      if (status === code) return;
      clearTimeout(watch);
      status = code;
      failures += 1;
      L.problem(code, token, options.trial, detail);
      const retry = h("button", { type: "button", click: () => load(true) }, say("again"));
      const skip = failures > 1 && h("button", { type: "button", class: "skip", click: () => options.skip(code) },
        say(options.many ? "skip_many" : "skip"));
      trouble.replaceChildren(h("p", {}, say(`bad_${code}`), " ", h("code", {}, say("bad_code", { code }))),
        h("div", { class: "row" }, retry, skip || ""));
      trouble.hidden = false;
      render();
      options.changed();
    }

    async function load(fresh) {
      status = "loading";
      trouble.hidden = true;
      complete = false;
      render();
      clearTimeout(watch);
      watch = setTimeout(() => fail("stalled", `${PATIENCE_MS} ms`), PATIENCE_MS);
      const found = await L.load(token, fresh);
      if (!shown.has(api)) return;
      if (found.code) fail(found.code, found.detail);
      else {
        audio.src = found.url;
        audio.load();
      }
    }

    function ready() {
      clearTimeout(watch);
      status = "ready";
      trouble.hidden = true;
      render();
      options.changed();
    }

    const on = (name, act) => audio.addEventListener(name, act);
    on("canplay", () => { if (status !== "ready") ready(); });
    on("error", () => fail(codeOf(audio.error), audio.error?.message ?? ""));
    on("playing", () => { since ??= performance.now(); follow(); });
    on("pause", () => { count(); render(); });
    on("ended", () => {
      count();
      complete ||= share() >= L.bundle.min_heard;
      render();
      options.changed();
    });
    on("seeking", () => { if (!own) seeks += 1; });
    on("seeked", () => { own = false; render(); });
    on("ratechange", () => { if (audio.playbackRate !== 1) audio.playbackRate = 1; });
    button.addEventListener("click", () => api.toggle());

    const api = {
      node, token, heard,
      name: options.name,
      key: options.key,
      get failed() { return status !== "ready" && status !== "loading"; },
      toggle() {
        if (status !== "ready") return;
        if (!audio.paused && !audio.ended) audio.pause();
        else {
          for (const other of shown) if (other !== api) other.stop();
          if (audio.ended) [own, audio.currentTime] = [true, 0];
          if (audio.currentTime === 0) plays += 1;
          audio.play().catch((error) => { if (error.name !== "AbortError") fail("decode", String(error)); });
        }
      },
      stop: () => audio.pause(),
      // On the screen: begin to load.
      enter() {
        shown.add(api);
        load(false);
      },
      leave() {
        clearTimeout(watch);
        shown.delete(api);
        audio.pause();
        count();
      },
      facts: () => ({ heard: Math.round(share() * 1000) / 1000, plays, seeks, listened_ms: Math.round(listened) }),
    };
    render();
    return api;
  };

  L.leaveClips = () => { for (const clip of [...shown]) clip.leave(); };
})();
