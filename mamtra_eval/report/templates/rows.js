// A clip's row in the table, and the row that it unfolds into.

const cell = (kind, ...content) => h("td", { role: "cell", class: kind }, ...content);
const cellClass = (column) => `${column.kind} col-${column.key.split(":")[0]}`;

function clipRow(index) {
  const clip = clips[index];
  const cells = columns.slice(1).map((column) =>
    h("td", { role: "cell", class: cellClass(column), "data-title": column.title }, column.cell(clip)));
  const click = () => {
    if (!getSelection().isCollapsed) return; // the end of marking some text
    select(index);
    toggle(index);
  };
  const chosen = index === selected;
  const kinds = ["clip", chosen && "is-selected", clip.error !== null && "is-failed"];
  return h("tr", {
    role: "row", class: kinds.filter(Boolean).join(" "), "data-index": index, tabindex: chosen ? 0 : -1, click,
  },
  cell("control", clipButton(clip)), nameCell(clip), cells, cell("control last", foldButton(clip, index)));
}

function nameCell(clip) {
  const repeat = repeated ? h("span", { class: "small" }, ` #${clip.repeat}`) : null;
  return cell("name",
    h("div", { class: "utterance" }, clip.utterance, repeat),
    spoken("div", { class: "excerpt" }, clip.text),
    clip.error === null ? null : h("div", { class: "bad message" }, clip.error));
}

function foldButton(clip, index) {
  const click = (event) => {
    event.stopPropagation();
    select(index);
    toggle(index);
  };
  const open = String(unfolded.has(index));
  return h("button", {
    type: "button", class: "fold", "aria-expanded": open, "aria-label": `Details of ${clipName(clip)}`, click,
  }, s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: "M6 3.5 10.5 8 6 12.5" })));
}

const detailRow = (index) =>
  h("tr", { role: "row", class: "unfolded" },
    h("td", { role: "cell", colspan: columns.length + 2 }, detail(clips[index], siblingsOf.get(clips[index].utterance))));
