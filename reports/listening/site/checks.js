// Before the test: the volume, and the headphone check, which is recorded and excludes nobody.
"use strict";

(() => {
  const L = window.Listening;
  const { h, say } = L;

  L.screens.volume = () => new Promise((resolve) => {
    const begun = performance.now();
    const done = () => resolve({ type: "volume", ms: Math.round(performance.now() - begun) });
    const go = L.button(say("go_on"), done, { disabled: true });
    const status = h("p", { class: "status", role: "status" }, say("volume_wait"));
    const clip = L.clip(L.bundle.volume, {
      name: say("clip"), key: null, trial: null, many: false, skip: done,
      changed() {
        go.disabled = !clip.heard();
        if (clip.heard()) status.textContent = "";
      },
    });
    L.show(say("volume_title"), h("p", {}, say("volume_note")),
      h("div", { class: "clips n-1" }, clip.node), status, h("div", { class: "row" }, go));
    clip.enter();
    L.onKey = (event) => {
      if (event.key !== " ") return false;
      clip.toggle();
      return true;
    };
  });

  // One question of the headphone check; null where its clip could not be played.
  const question = (token, n, total) => new Promise((resolve) => {
    const begun = performance.now();
    const { question: asked, choices } = L.bundle.headphones;
    const numbers = Array.from({ length: choices }, (_, place) => place + 1);
    const done = (choice) => resolve(choice && { token, choice, rt_ms: Math.round(performance.now() - begun) });
    const boxes = numbers.map((n) => h("input", { type: "radio", name: "sound", value: n, change: () => { go.disabled = false; } }));
    const group = h("fieldset", { class: "scale", disabled: true }, L.own("legend", asked),
      h("div", { class: "choices" }, boxes.map((box, place) => h("label", { class: "choice" }, box,
        h("span", { class: "face" }, h("span", { class: "name" }, say("sound", { n: place + 1 })))))));
    const go = L.button(say("next"), () => done(boxes.findIndex((box) => box.checked) + 1), { disabled: true });
    const clip = L.clip(token, {
      name: say("clip"), key: null, trial: null, many: false, skip: () => done(null),
      changed() { group.disabled = !clip.heard(); },
    });
    L.show(say("headphones_title"), h("p", {}, say("headphones_of", { n, total })),
      h("div", { class: "clips n-1" }, clip.node), group, h("div", { class: "row" }, go));
    clip.enter();
    L.onKey = (event) => {
      const box = /^[1-9]$/.test(event.key) && !group.disabled ? boxes[Number(event.key) - 1] : null;
      if (box) {
        box.checked = true;
        box.focus();
        go.disabled = false;
      } else if (event.key === " ") clip.toggle();
      else if (event.key === "Enter") go.click();
      else return false;
      return true;
    };
  });

  L.screens.headphones = async () => {
    const { tokens } = L.bundle.headphones;
    const answers = [];
    for (const [place, token] of tokens.entries()) {
      answers.push(await question(token, place + 1, tokens.length));
    }
    return { type: "headphones", answers: answers.filter(Boolean) };
  };
})();
