// The clip table: filter, sort, pages, selection, unfolding. Only one page of rows is in the DOM.

const PAGE = 50;
const clips = data.clips;
const rankOfSystem = new Map(data.systems.map((system, index) => [system.name, index]));
const systemRank = (clip) => rankOfSystem.get(clip.system) ?? data.systems.length;

const state = { systems: new Set(), query: "", show: "all", sort: "utterance", up: true, page: 0 };
const unfolded = new Set();
let matching = []; // indexes into clips, filtered and sorted
let selected = -1; // an index into clips

const isFailure = (clip) => clip.error !== null || Object.keys(clip.failures ?? {}).length > 0;
const SHOWS = [
  ["all", "All", () => true],
  ["failures", "Failures only", isFailure],
  ["errors", "Errors only", (clip) => clip.error !== null],
  ["flagged", "Flagged", (clip) => clip.flags?.length > 0],
  ...(clips.some((clip) => clip.agree === false)
    ? [["disputed", "Recognisers disagree", (clip) => clip.agree === false]] : []),
];

// Sort keys are numbers computed once, so that sorting never compares texts.
const order = baseOrder();
const columns = makeColumns();
const siblingsOf = groupByUtterance();
let haystacks = null;

function baseOrder() {
  const names = [...new Set(clips.map((clip) => clip.utterance))];
  names.sort(new Intl.Collator("en", { numeric: true }).compare);
  const rank = new Map(names.map((name, index) => [name, index]));
  const keys = clips.map(
    (clip) => rank.get(clip.utterance) * 1e6 + systemRank(clip) * 1e3 + clip.repeat,
  );
  const sorted = clips.map((_, index) => index).sort((a, b) => keys[a] - keys[b]);
  const places = new Float64Array(clips.length);
  sorted.forEach((index, place) => {
    places[index] = place;
  });
  return places;
}

function groupByUtterance() {
  const groups = new Map();
  clips.forEach((clip, index) => {
    if (!groups.has(clip.utterance)) groups.set(clip.utterance, []);
    groups.get(clip.utterance).push(index);
  });
  for (const group of groups.values()) group.sort((a, b) => order[a] - order[b]);
  return groups;
}

function makeColumns() {
  const column = (key, title, kind, number, cell) =>
    ({ key, title, kind, cell, numbers: Float64Array.from(clips, number) });
  const values = clipHeadline.map((figure) =>
    column(`value:${figure.name}`, shortTitle(figure), "number",
      (clip) => clip.values?.[figure.name] ?? NaN, (clip) => valueCell(clip, figure)));
  return [
    column("utterance", "Utterance", "words", (_, index) => order[index], null),
    column("system", "System", "words", systemRank, (clip) => clip.system),
    ...values,
    column("flags", "Flags", "words", weightOfFlags, flagCell),
    column("duration", "Duration", "number",
      (clip) => clip.duration_s ?? NaN, (clip) => formatSeconds(clip.duration_s)),
  ];
}

function valueCell(clip, figure) {
  const why = reasonFor(clip, figure);
  if (why) return h("abbr", { class: "bad", title: why }, "no value");
  return formatValue(clip.values?.[figure.name], figure.unit);
}

function weightOfFlags(clip) {
  return (clip.error === null ? 0 : 1e3) + (clip.flags?.length ?? 0);
}

function flagCell(clip) {
  const failed = clip.error === null ? [] : [h("span", { class: "pill worse" }, "failed")];
  return [...failed, ...flagList(clip)];
}

const folded = (text) => text.normalize("NFKC").toLowerCase();

function haystack(index) {
  haystacks ??= clips.map((clip) =>
    folded([clip.utterance, clip.text, clip.transcript ?? "", clip.error ?? ""].join("\n")));
  return haystacks[index];
}

function refresh() {
  const needle = folded(state.query.trim());
  const shows = SHOWS.find(([key]) => key === state.show)[2];
  matching = [];
  clips.forEach((clip, index) => {
    if (state.systems.size && !state.systems.has(clip.system)) return;
    if (!shows(clip) || (needle && !haystack(index).includes(needle))) return;
    matching.push(index);
  });
  sortMatching();
  state.page = 0;
  draw();
}

// Missing values stay at the end in both directions; ties keep the utterances' order.
function sortMatching() {
  const { numbers } = columns.find((column) => column.key === state.sort);
  const sign = state.up ? 1 : -1;
  matching.sort((a, b) => {
    const [x, y] = [numbers[a], numbers[b]];
    if (x === y) return order[a] - order[b];
    if (x !== x || y !== y) return (x !== x) - (y !== y) || order[a] - order[b];
    return sign * (x - y);
  });
}

function sortBy(key, up) {
  state.up = up ?? (state.sort === key ? !state.up : true);
  state.sort = key;
  sortMatching();
  state.page = 0;
  draw();
}

function draw() {
  const first = state.page * PAGE;
  const shown = matching.slice(first, first + PAGE);
  if (!shown.includes(selected)) selected = shown[0] ?? -1;
  $("rows").replaceChildren(...shown.flatMap((index) =>
    unfolded.has(index) ? [clipRow(index), detailRow(index)] : [clipRow(index)]));
  $("empty").hidden = matching.length > 0;
  $("count").textContent = matching.length === clips.length
    ? plural(clips.length, "clip")
    : `${grouped(matching.length)} of ${plural(clips.length, "clip")}`;
  drawPagers(first, shown.length);
  drawControls();
  showProgress();
}

function drawControls() {
  for (const head of $("columns").querySelectorAll("[data-key]")) {
    const active = head.dataset.key === state.sort;
    head.setAttribute("aria-sort", active ? (state.up ? "ascending" : "descending") : "none");
  }
  $("sortby").value = `${state.sort} ${state.up ? "up" : "down"}`;
  for (const chip of $("systems").children) {
    chip.setAttribute("aria-pressed", String(state.systems.has(chip.value)));
  }
  for (const input of $("show").querySelectorAll("input")) {
    input.checked = input.value === state.show;
  }
}

function drawPagers(first, count) {
  const pages = Math.max(1, Math.ceil(matching.length / PAGE));
  const step = (name, page, text) =>
    h("button", {
      type: "button", "aria-label": name, click: () => turn(page, name),
      disabled: page < 0 || page >= pages || page === state.page,
    }, text);
  for (const pager of document.querySelectorAll(".pager")) {
    pager.hidden = pages === 1;
    pager.replaceChildren(
      step("First page", 0, "«"), step("Previous page", state.page - 1, "‹"),
      h("span", {}, `${grouped(first + 1)}–${grouped(first + count)} of ${grouped(matching.length)}`),
      step("Next page", state.page + 1, "›"), step("Last page", pages - 1, "»"),
    );
  }
}

function turn(page, name) {
  const pager = document.activeElement?.closest(".pager");
  state.page = page;
  selected = matching[page * PAGE];
  draw();
  pager?.querySelector(`[aria-label="${name}"]:not([disabled])`)?.focus();
  const below = pager && pager !== document.querySelector(".pager");
  if (below) document.querySelector("table.clips").scrollIntoView();
}

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
  cell("control", clipButton(clip, index)), nameCell(clip), cells, cell("control last", foldButton(clip, index)));
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
    h("td", { role: "cell", colspan: columns.length + 2 }, detail(index, siblingsOf.get(clips[index].utterance))));

const rowOf = (index) => $("rows").querySelector(`tr.clip[data-index="${index}"]`);

function select(index, focus = false) {
  const [before, row] = [rowOf(selected), rowOf(index)];
  before?.classList.remove("is-selected");
  before?.setAttribute("tabindex", "-1");
  selected = index;
  row?.classList.add("is-selected");
  row?.setAttribute("tabindex", "0");
  if (focus) row?.focus();
}

function toggle(index) {
  const row = rowOf(index);
  if (unfolded.delete(index)) row.nextElementSibling.remove();
  else {
    unfolded.add(index);
    row.after(detailRow(index));
    remember(clipHash(clips[index]));
  }
  row.querySelector(".fold").setAttribute("aria-expanded", String(unfolded.has(index)));
}

function remember(hash) {
  try {
    history.replaceState(null, "", hash);
  } catch {
    // some browsers refuse this on file: addresses; the link in the row still works
  }
}

function move(by) {
  const place = matching.indexOf(selected) + by;
  if (place < 0 || place >= matching.length) return;
  const page = Math.floor(place / PAGE);
  if (page !== state.page) {
    state.page = page;
    selected = matching[place];
    draw();
  }
  select(matching[place], true);
}

function clearFilters() {
  Object.assign(state, { systems: new Set(), query: "", show: "all" });
  $("query").value = "";
  refresh();
}

// Opens the row that `#utt=...&sys=...` names, on whatever page it is.
function openFromHash() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  if (!wanted.has("utt")) return;
  const index = clips.findIndex((clip) => clip.utterance === wanted.get("utt")
    && (!wanted.has("sys") || clip.system === wanted.get("sys"))
    && (!wanted.has("rep") || clip.repeat === Number(wanted.get("rep"))));
  if (index < 0) return;
  if (!matching.includes(index)) clearFilters();
  unfolded.add(index);
  state.page = Math.floor(matching.indexOf(index) / PAGE);
  selected = index;
  draw();
  select(index, true);
  rowOf(index).scrollIntoView({ block: "start" });
}

function drawHeads() {
  const head = (column) =>
    h("th", { scope: "col", role: "columnheader", "data-key": column.key, class: cellClass(column) },
      h("button", { type: "button", class: "sort", click: () => sortBy(column.key) }, column.title));
  const plain = (kind, title) => h("th", { role: "columnheader", class: kind }, said(title));
  $("columns").append(plain("control", "Play"), ...columns.map(head), plain("control last", "Details"));
  $("sortby").append(...columns.flatMap(({ key, title }) => [
    h("option", { value: `${key} up` }, `${title} ↑`),
    h("option", { value: `${key} down` }, `${title} ↓`),
  ]));
  $("sortby").addEventListener("change", (event) => {
    const [key, way] = event.target.value.split(" ");
    sortBy(key, way === "up");
  });
}

function drawFilters() {
  const flip = (name) => {
    if (!state.systems.delete(name)) state.systems.add(name);
    refresh();
  };
  $("systems").append(...data.systems.map(({ name }) =>
    h("button", { type: "button", class: "chip", value: name, click: () => flip(name) }, name)));
  const choose = (key) => {
    state.show = key;
    refresh();
  };
  $("show").append(...SHOWS.map(([key, title, test]) => {
    const count = key === "all" ? null : h("small", {}, ` ${grouped(clips.filter(test).length)}`);
    const input = h("input", { type: "radio", name: "show", value: key, change: () => choose(key) });
    return h("label", {}, input, h("span", {}, title, count));
  }));
}

function startExplorer() {
  drawHeads();
  drawFilters();
  $("query").addEventListener("input", (event) => {
    state.query = event.target.value;
    refresh();
  });
  $("reset").addEventListener("click", clearFilters);
  $("rows").addEventListener("focusin", ({ target }) => {
    const row = target.closest("tr.clip") ?? target.closest("tr").previousElementSibling;
    if (row && Number(row.dataset.index) !== selected) select(Number(row.dataset.index));
  });
  refresh();
}
