// Screens between the trials: forms, how it works, breaks. Each promise gives the line to record.
"use strict";

(() => {
  const L = window.Listening;
  const { h, say } = L;

  // Show words and one button; the promise gives the milliseconds until it was pressed.
  const wait = (title, words, text) => new Promise((resolve) => {
    const begun = performance.now();
    L.show(title, words, h("div", { class: "row" },
      L.button(text, () => resolve(Math.round(performance.now() - begun)))));
  });

  function agent() {
    return {
      user_agent: navigator.userAgent, languages: [...navigator.languages],
      brands: navigator.userAgentData?.brands.map((one) => `${one.brand} ${one.version}`) ?? null,
      mobile: navigator.userAgentData?.mobile ?? null, automated: navigator.webdriver === true,
      screen: [screen.width, screen.height], window: [innerWidth, innerHeight],
      pixel_ratio: devicePixelRatio, touch: navigator.maxTouchPoints > 0,
      dark: matchMedia("(prefers-color-scheme: dark)").matches, address: location.protocol,
      stored: L.store.persistent,
    };
  }

  const form = (type, title, fields) => new Promise((resolve) => {
    const built = L.form(fields);
    let done = false;
    const send = () => {
      const answers = done ? null : built.answers();
      if (answers === null) return;
      done = true;
      resolve({ type, answers });
    };
    L.show(title, built.node, h("div", { class: "row" }, L.button(say("go_on"), send)));
  });

  const paragraphs = () => L.bundle.instructions.map((text) => L.own("p", text));

  L.screens = {
    agent,
    eligibility: () => form("eligibility", say("about_you"), L.bundle.eligibility),

    // Free text comes last: what is asked before must not lean on it.
    questionnaire() {
      const long = (field) => field.type === "long";
      const fields = L.bundle.questionnaire;
      return form("questionnaire", say("questions_title"),
        [...fields.filter((field) => !long(field)), ...fields.filter(long)]);
    },

    async instructions() {
      const practice = L.bundle.practice.length > 0;
      const words = [...paragraphs(), practice ? h("p", {}, say("first_practice")) : null];
      const ms = await wait(say("how"), words, say(practice ? "start_practice" : "start_test"));
      return { type: "event", name: "instructions", detail: { ms } };
    },

    async begin({ total }) {
      const words = h("p", {}, say("begin_note", { n: total }));
      const ms = await wait(say("begin_title"), words, say("start_test"));
      return { type: "event", name: "begin", detail: { ms } };
    },

    async break({ position, total }) {
      const words = h("p", {}, say("break_note", { n: position, total }));
      return { type: "break", ms: await wait(say("break_title"), words, say("go_on")) };
    },

    async practice({ trial, position, total }) {
      const title = say("practice_of", { n: position, total });
      return { type: "practice", ...await L.trial(trial, { practice: true, title, position }) };
    },

    async rating({ trial, position, total }) {
      const title = say("trial_of", { n: position, total });
      return { type: "rating", ...await L.trial(trial, { practice: false, title, position }) };
    },
  };
})();
