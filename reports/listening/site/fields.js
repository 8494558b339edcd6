// Forms of the bundle's fields: eligibility and questionnaire.
"use strict";

(() => {
  const L = window.Listening;
  const { h, say } = L;

  const mark = (field) => h("span", { class: "small" }, ` (${say(field.required ? "required" : "optional")})`);

  function choices(field, id) {
    if (field.options.length > 6) {
      const list = h("select", { id, name: id, required: field.required },
        h("option", { value: "" }, say("choose")), field.options.map((one) => L.own("option", one, { value: one })));
      return { node: list, labelled: true, value: () => list.value };
    }
    const boxes = field.options.map((one) => h("input", { type: "radio", name: id, value: one }));
    const node = h("div", { class: "options" },
      boxes.map((box, place) => h("label", { class: "option" }, box, L.own("span", field.options[place]))));
    return { node, labelled: false, value: () => boxes.find((box) => box.checked)?.value ?? "" };
  }

  function control(field, id) {
    if (field.type === "choice") return choices(field, id);
    const most = field.max_length ?? 500;
    const common = { id, name: id, autocomplete: "off", required: field.required };
    const box = field.type === "long"
      ? h("textarea", { ...common, rows: 4, maxlength: most })
      : h("input", { ...common, type: "text", maxlength: most, inputmode: field.type === "number" ? "decimal" : null });
    return { node: box, labelled: true, value: () => box.value };
  }

  const numeric = (text) => Number(text.trim().replace(",", "."));

  function fault(field, value) {
    if (value.trim() === "") return field.required ? say("fill") : "";
    if (field.type === "number" && !Number.isFinite(numeric(value))) return say("number");
    const most = field.max_length ?? 500;
    return value.length > most ? say("too_long", { n: most }) : "";
  }

  function build(field) {
    const id = `field-${field.id}`;
    const { node, labelled, value } = control(field, id);
    const error = h("p", { class: "fault", id: `${id}-fault` });
    const label = [L.own("span", field.label), mark(field)];
    const whole = labelled
      ? h("div", { class: "field" }, h("label", { for: id }, label), node, error)
      : h("fieldset", { class: "field", "aria-describedby": error.id }, h("legend", {}, label), node, error);
    if (labelled) node.setAttribute("aria-describedby", error.id);
    return {
      field, value, whole,
      check() {
        const text = fault(field, value());
        error.textContent = text;
        if (labelled) node.setAttribute("aria-invalid", String(text !== ""));
        return text === "";
      },
      focus: () => (labelled ? node : node.querySelector("input")).focus(),
    };
  }

  // Build a form: { node, answers() }; answers is null where something must be mended first. What
  // was left empty is left out.
  L.form = (fields) => {
    const built = fields.map(build);
    return {
      node: h("div", { class: "form" }, built.map((one) => one.whole)),
      answers() {
        const bad = built.filter((one) => !one.check());
        if (bad.length) {
          bad[0].focus();
          return null;
        }
        const given = built.filter((one) => one.value().trim() !== "");
        return Object.fromEntries(given.map(({ field, value }) =>
          [field.id, field.type === "number" ? numeric(value()) : L.writable(value())]));
      },
    };
  };
})();
