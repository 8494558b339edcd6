// A scale of choices: one rating for a clip or a pair.
"use strict";

(() => {
  const L = window.Listening;
  const { h, say } = L;

  // Differences carry their sign.
  const written = (value, signed) => (signed && value > 0 ? "+" : "") + String(value).replace("-", "\u2212");

  function values({ low, high, step }) {
    return Array.from({ length: Math.round((high - low) / step) + 1 }, (_, place) => low + place * step);
  }

  // What a value is called; between two names, both are.
  function called(scale, value) {
    const name = scale.labels[String(value)];
    if (name) return name;
    const [low, high] = [Math.floor(value), Math.ceil(value)].map((one) => scale.labels[String(one)]);
    return low && high ? say("between", { value, low, high }) : String(value);
  }

  // Build the scale: its node, keys in words, lock(locked), rated(), ratings(), status() in words, and
  // key(event), whether a key was one of its own.
  L.choiceScale = (question, changed) => {
    const { scale, kind } = L.bundle;
    const all = values(scale);
    // The names of a preference say all; numbers beside them would only be read as a rank.
    const numbered = kind !== "ab";
    const same = numbered && all.every((value, place) => value === place + 1);
    const boxes = all.map((value) => h("input", { type: "radio", name: "rating", value, change: changed }));
    const labels = all.map((value, place) => {
      const name = scale.labels[String(value)];
      return h("label", { class: name ? "choice" : "choice is-between" }, boxes[place],
        h("span", { class: "face" },
          numbered && h("span", { class: "number", "aria-hidden": name ? null : "true" }, written(value, scale.low < 0)),
          name ? L.own("span", name, { class: "name" }) : h("span", { class: "hidden" }, called(scale, value)),
          !same && h("kbd", { "aria-hidden": "true" }, String(place + 1))));
    });
    const node = h("fieldset", { class: `scale of-${all.length}`, disabled: true },
      L.own("legend", question), h("div", { class: "choices" }, labels));
    const chosen = () => boxes.findIndex((box) => box.checked);
    return {
      node,
      keys: `1\u2013${all.length}`,
      lock: (locked) => { node.disabled = locked; },
      rated: () => chosen() >= 0,
      ratings: () => [all[chosen()]],
      status: () => (chosen() < 0 ? say("unlocked") : say("rated", { answer: called(scale, all[chosen()]) })),
      key(event) {
        const place = /^[1-9]$/.test(event.key) ? Number(event.key) - 1 : -1;
        if (node.disabled || !boxes[place]) return false;
        boxes[place].checked = true;
        boxes[place].focus();
        changed();
        return true;
      },
    };
  };
})();
