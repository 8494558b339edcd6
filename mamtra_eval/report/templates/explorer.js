// The clip table: filter, sort, pages, selection, unfolding. Only one page of rows is in the DOM.

const PAGE = 50;
const rankOfSystem = new Map(data.systems.map((system, index) => [system.name, index]));
const systemRank = (clip) => rankOfSystem.get(clip.system) ?? data.systems.length;

const state = { systems: new Set(), query: "", show: "all", sort: "utterance", up: true, page: 0 };
const unfolded = new Set();
let matching = []; // indexes into clips, filtered and sorted
let selected = -1; // an index into clips

const isFailure = (clip) => clip.error !== null || Object.keys(clip.failures).length > 0;
const SHOWS = [
  ["all", "All", () => true],
  ...(compared ? [["regressions", "Regressions", isRegression]] : []),
  ["failures", "Failures only", isFailure],
  ["errors", "Errors only", (clip) => clip.error !== null],
  ["flagged", "Flagged", (clip) => clip.flags.length > 0],
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
      (clip) => clip.value(figure) ?? NaN, (clip) => valueCell(clip, figure)));
  const gap = compared ? [column("gap", gapTitle(), "number", ({ index }) => gaps[index], gapCell)] : [];
  return [
    column("utterance", "Utterance", "words", (_, index) => order[index], null),
    column("system", "System", "words", systemRank, (clip) => clip.system),
    ...values,
    ...gap,
    column("flags", "Flags", "words", weightOfFlags, flagCell),
    column("duration", "Duration", "number",
      (clip) => clip.duration ?? NaN, (clip) => formatSeconds(clip.duration)),
  ];
}

function valueCell(clip, figure) {
  const why = reasonFor(clip, figure);
  if (why) return h("abbr", { class: "bad", title: why }, "no value");
  return formatValue(clip.value(figure), figure.unit);
}

function weightOfFlags(clip) {
  return (clip.error === null ? 0 : 1e3) + clip.flags.length;
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

// The figure in which clips are compared has changed, or the address names another.
function showGapColumn() {
  const column = columns.find(({ key }) => key === "gap");
  if (!column) return;
  Object.assign(column, { title: gapTitle(), numbers: gaps });
  drawHeads();
  $("by").value = compared.name;
  $("show").querySelector("[value=regressions] + span small").textContent = ` ${grouped(clips.filter(isRegression).length)}`;
}

// Regressions are there to be seen from the largest on.
function choose(show) {
  state.show = show;
  if (show === "regressions") Object.assign(state, { sort: "gap", up: compared.higher_is_better });
  refresh();
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
  const every = data.sample
    ? `${plural(clips.length, "clip")}, a sample of ${grouped(data.sample.of)}`
    : plural(clips.length, "clip");
  $("count").textContent = matching.length === clips.length ? every : `${grouped(matching.length)} of ${every}`;
  drawPagers(first, shown.length);
  drawControls();
  remember();
  showPlayer();
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
    opened = index;
    row.after(detailRow(index));
    showPlayer();
  }
  remember();
  row.querySelector(".fold").setAttribute("aria-expanded", String(unfolded.has(index)));
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

function drawHeads() {
  const head = (column) =>
    h("th", { scope: "col", role: "columnheader", "data-key": column.key, class: cellClass(column) },
      h("button", { type: "button", class: "sort", click: () => sortBy(column.key) }, column.title));
  const plain = (kind, title) => h("th", { role: "columnheader", class: kind }, said(title));
  $("columns").replaceChildren(plain("control", "Play"), ...columns.map(head), plain("control last", "Details"));
  $("sortby").replaceChildren(...columns.flatMap(({ key, title }) => [
    h("option", { value: `${key} up` }, `${title} ↑`),
    h("option", { value: `${key} down` }, `${title} ↓`),
  ]));
}

function drawComparison() {
  $("by").parentElement.hidden = !compared;
  $("by").append(...comparable.map((figure) => h("option", { value: figure.name }, shortTitle(figure))));
  $("by").addEventListener("change", (event) => {
    compareBy(event.target.value);
    showGapColumn();
    choose(state.show);
  });
}

function drawFilters() {
  const flip = (name) => {
    if (!state.systems.delete(name)) state.systems.add(name);
    refresh();
  };
  $("systems").append(...data.systems.map(({ name }) =>
    h("button", { type: "button", class: "chip", value: name, click: () => flip(name) }, name)));
  $("show").append(...SHOWS.map(([key, title, test]) => {
    const count = key === "all" ? null : h("small", {}, ` ${grouped(clips.filter(test).length)}`);
    const input = h("input", { type: "radio", name: "show", value: key, change: () => choose(key) });
    return h("label", {}, input, h("span", {}, title, count));
  }));
}

function startExplorer() {
  drawHeads();
  drawFilters();
  drawComparison();
  showGapColumn();
  $("sortby").addEventListener("change", (event) => {
    const [key, way] = event.target.value.split(" ");
    sortBy(key, way === "up");
  });
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
  setTimeout(() => haystack(0), 300); // ready before the first search, after the first paint
}
