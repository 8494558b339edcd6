// A slider for every clip, 0 to 100: they start unset, and what was not moved is not rated.
"use strict";

(() => {
  const L = window.Listening;
  const { h, say } = L;

  // The name of the band a value is in.
  function band(value) {
    const { labels } = L.bundle.scale;
    const below = Object.keys(labels).map(Number).filter((edge) => edge <= value);
    return below.length ? labels[String(Math.max(...below))] : "";
  }

  function slider(clip, place, changed) {
    const { low, high, step } = L.bundle.scale;
    const id = `slider-${place}`;
    let set = false;
    const box = h("input", {
      type: "range", id, min: low, max: high, step, value: (low + high) / 2, class: "unset",
      "aria-label": clip.name, "aria-valuetext": say("unrated"),
    });
    const out = h("output", { for: id }, "\u2013");
    const touch = () => {
      set = true;
      box.classList.remove("unset");
      const text = `${box.value} ${band(Number(box.value))}`.trim();
      box.setAttribute("aria-valuetext", text);
      out.replaceChildren(h("b", {}, box.value), ` ${band(Number(box.value))}`);
      changed();
    };
    box.addEventListener("input", touch);
    // A click on the middle changes no value, but is an answer.
    box.addEventListener("click", () => { if (!box.disabled) touch(); });
    const node = h("div", { class: "slide" }, clip.node, h("div", { class: "track" }, box, out));
    return { node, box, clip, set: () => set, value: () => Number(box.value) };
  }

  // Build the sliders: the same parts as of `choiceScale`.
  L.sliderScale = (question, changed, clips) => {
    const all = clips.map((clip, place) => slider(clip, place, changed));
    const bands = Object.entries(L.bundle.scale.labels).sort((a, b) => a[0] - b[0]);
    const legend = L.own("legend", question);
    const words = h("div", { class: "bands small", "aria-hidden": "true" },
      bands.map(([, name]) => L.own("span", name)));
    const node = h("fieldset", { class: "scale sliders" }, legend, words, all.map((one) => one.node));
    const lock = (locked) => { for (const one of all) one.box.disabled = locked; };
    lock(true);
    const missing = () => all.filter((one) => !one.set()).map((one) => one.clip.name);
    return {
      node,
      keys: null,
      lock,
      rated: () => missing().length === 0,
      ratings: () => all.map((one) => one.value()),
      status: () => (missing().length ? say("unrated_many", { names: missing().join(", ") }) : say("all_rated")),
      key: () => false,
      chosen: (clip) => all.find((one) => one.clip === clip)?.box.focus(),
    };
  };
})();
