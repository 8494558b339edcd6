// One question: its clips, its scale, and what is recorded of the answer.
"use strict";

(() => {
  const L = window.Listening;
  const { h, say } = L;
  const NAMES = "ABCDEFGHIJKLMNOPQSTUVW"; // R is the reference's

  function clipsOf(trial, common) {
    const pair = ["cmos", "ab"].includes(L.bundle.kind);
    const many = trial.tokens.length > 1;
    const name = (place) => (pair ? say(place ? "second" : "first") : many ? say("clip_named", { name: NAMES[place] }) : say("clip"));
    const clips = trial.tokens.map((token, place) =>
      L.clip(token, { ...common, name: name(place), key: many ? NAMES[place] : null }));
    const reference = trial.reference
      ? L.clip(trial.reference, { ...common, name: say("reference"), key: "R" }) : null;
    return { clips, reference };
  }

  const key = (...names) => names.map((name) => h("kbd", {}, name));

  const span = (first, last) => (last === "B" ? `${first} ${last}` : `${first}\u2013${last}`);

  function legend(clips, reference, scale) {
    const on = h("input", { type: "checkbox", checked: L.keysOff ? null : true,
      change: () => { L.keysOff = !on.checked; } });
    const list = [
      [key("Space"), say("key_play")],
      clips.length > 1 && [key(span(clips[0].key, clips.at(-1).key), ...(scale.keys ? [] : [span(1, clips.length)])), say("key_clips")],
      reference && [key("R"), say("key_reference")],
      scale.keys ? [key(scale.keys), say("key_rate")] : [key("\u2190", "\u2192"), say("key_slide")],
      [key("Enter"), say("key_next")],
    ];
    return h("div", { class: "keys small" },
      h("label", {}, on, say("keys_on")),
      list.filter(Boolean).map(([keys, text]) => h("span", {}, keys, text)));
  }

  const lockedText = (wanting, count) => (count === 1 ? say("locked_one")
    : say("locked_many", { names: wanting.map((clip) => clip.name).join(", ") }));

  // Show a trial; the promise gives what is to be recorded of it, without its type.
  L.trial = (trial, { practice, title, position }) => new Promise((resolve) => {
    const begun = performance.now();
    let hidden = 0;
    let since = document.hidden ? begun : null;
    let done = false;

    const { clips, reference } = clipsOf(trial, {
      trial: trial.id, many: trial.tokens.length > 1 || trial.reference !== null,
      changed: () => update(), skip: (code) => finish(null, code),
    });
    const all = reference ? [reference, ...clips] : clips;
    let current = clips[0];

    const sliders = L.bundle.kind === "mushra";
    const scale = sliders ? L.sliderScale(L.bundle.question, () => update(), clips)
      : L.choiceScale(L.bundle.question, () => update());
    const status = h("p", { class: "status", role: "status" });
    const next = L.button(say("next"), () => finish(scale.ratings(), null), { disabled: true, id: "next" });

    function update() {
      const wanting = all.filter((clip) => !clip.heard());
      scale.lock(wanting.length > 0);
      const text = wanting.length ? lockedText(wanting, all.length) : scale.status();
      if (status.textContent !== text) status.textContent = text;
      next.disabled = wanting.length > 0 || !scale.rated();
    }

    function watchHidden() {
      if (document.hidden) since ??= performance.now();
      else if (since !== null) [hidden, since] = [hidden + performance.now() - since, null];
    }
    document.addEventListener("visibilitychange", watchHidden);

    function finish(ratings, problem) {
      if (done || (ratings && next.disabled)) return;
      done = true;
      const now = performance.now();
      if (since !== null) hidden += now - since;
      document.removeEventListener("visibilitychange", watchHidden);
      for (const clip of all) clip.leave();
      const facts = clips.map((clip) => clip.facts());
      const each = (name) => facts.map((one) => one[name]);
      resolve({
        trial: trial.id, position, tokens: trial.tokens, ratings, ...(problem && { problem }),
        rt_ms: Math.round(now - begun), heard: each("heard"), plays: each("plays"),
        listened_ms: each("listened_ms"), seeks: each("seeks").reduce((a, b) => a + b, 0),
        hidden_ms: Math.round(hidden),
      });
    }

    function play(clip) {
      current = clip;
      if (sliders && clip !== reference) scale.chosen(clip);
      clip.toggle();
    }

    function onKey(event) {
      if (L.keysOff || event.repeat) return false;
      if (event.key === " ") {
        current.toggle();
        return true;
      }
      if (event.key === "Enter") {
        next.click();
        return true;
      }
      const letter = all.find((clip) => clip.key === event.key.toUpperCase());
      const counted = sliders && /^[1-9]$/.test(event.key) ? clips[Number(event.key) - 1] : null;
      if (letter ?? counted) {
        play(letter ?? counted);
        return true;
      }
      return scale.key(event);
    }

    L.show(title,
      practice ? h("p", { class: "small mark" }, say("practice_note")) : null,
      h("div", { class: `clips n-${sliders ? 1 : all.length}` }, (sliders ? [reference].filter(Boolean) : all).map((clip) => clip.node)),
      status, scale.node, h("div", { class: "row" }, next),
      h("details", { class: "help" }, h("summary", {}, say("instructions")),
        L.bundle.instructions.map((text) => L.own("p", text))),
      legend(clips, reference, scale));
    for (const clip of all) clip.enter();
    L.onKey = onKey;
    update();
  });
})();
