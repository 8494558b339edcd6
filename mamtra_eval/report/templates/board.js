// The leaderboard: values, intervals, differences to the baseline and their verdicts; costs.

const columnHead = (...content) => h("th", { scope: "col", role: "columnheader" }, ...content);

// A table that scrolls by itself where it is too wide for the window.
const board = (title, heads, body) =>
  h("div", { class: "scroll", role: "region", "aria-label": title, tabindex: 0 },
    h("table", { class: "board", role: "table" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)), body));

function leaderboard(shown) {
  const order = { figure: shown[0] ?? null, best: true };
  const body = h("tbody", { role: "rowgroup" });
  const draw = () => {
    body.replaceChildren(...ranked(order).map((system) => boardRow(system, shown)));
    heads.forEach((head, index) => {
      const up = order.best !== shown[index].higher_is_better;
      head.setAttribute("aria-sort",
        order.figure !== shown[index] ? "none" : up ? "ascending" : "descending");
    });
  };
  const choose = (figure) => {
    order.best = order.figure === figure ? !order.best : true;
    order.figure = figure;
    draw();
  };
  const heads = shown.map((figure) =>
    columnHead(h("div", { class: "head" },
      h("button", { type: "button", class: "sort", click: () => choose(figure) }, figure.title), footnote(figure))));
  draw();
  return board("Leaderboard", [columnHead("System"), ...heads, columnHead("Clips")], body);
}

// The other figures, one row each: there are more of them than of systems.
function figureTable(shown) {
  const rows = shown.map((figure) => h("tr", { role: "row" },
    h("th", { scope: "row", role: "rowheader" }, h("div", { class: "head" }, figure.title, footnote(figure))),
    data.systems.map((system) => boardCell(system, figure, system.name))));
  const heads = data.systems.map((system) => columnHead(system.name));
  return board("More figures", [columnHead("Figure"), ...heads], h("tbody", { role: "rowgroup" }, rows));
}

function ranked({ figure, best }) {
  if (!figure) return data.systems;
  const sign = (figure.higher_is_better ? -1 : 1) * (best ? 1 : -1);
  const value = (system) => system.figures[figure.name]?.value ?? null;
  return [...data.systems].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (x - y);
  });
}

function boardRow(system, shown) {
  const tag = system.is_baseline ? h("span", { class: "pill" }, "baseline") : null;
  const about = system.kind === system.target ? system.kind : `${system.kind} · ${system.target}`;
  const good = system.clips - system.clips_failed;
  const count = system.clips_failed
    ? h("span", { class: "bad" }, `${grouped(good)}/${grouped(system.clips)}`, said(" without a failure"))
    : grouped(system.clips);
  return h("tr", { role: "row" },
    h("th", { scope: "row", role: "rowheader" },
      h("div", { class: "system-name" }, h("span", {}, system.name), tag), h("div", { class: "small" }, about)),
    shown.map((figure) => boardCell(system, figure)),
    h("td", { role: "cell", "data-title": "Clips" }, count));
}

function boardCell(system, figure, title = figure.title) {
  const estimate = system.figures[figure.name] ?? null;
  const attributes = { role: "cell", "data-title": title };
  if (!estimate) return h("td", attributes, "—");
  const interval = h("span", { class: "small" }, formatInterval(estimate, figure.unit));
  const count = h("span", { class: estimate.n_failed ? "bad" : null }, formatCount(estimate, system.clips));
  const foreign = estimate.foreign
    ? h("span", { class: "pill undecided", title: `Measured as ${estimate.foreign}` }, "≠ measured otherwise") : null;
  const value = h("div", { class: "estimate" },
    h("b", {}, formatValue(estimate.value, figure.unit)),
    estimate.value === null ? null : interval,
    h("span", { class: "small line" }, "n ", count));
  return h("td", attributes, value, foreign, change(figure, estimate.difference));
}

// What a verdict says, and what it does not.
const MEANINGS = {
  better: "The whole interval of the difference lies on the better side of zero.",
  worse: "The whole interval of the difference lies on the worse side of zero.",
  equivalent: "Within the margin on both sides: shown to be no more different than that.",
  "non-inferior": "No loss beyond the margin; a gain beyond it is not excluded.",
  inferior: "A loss beyond the margin.",
  undecided: "The interval leaves it open, which does not mean equal: more utterances are needed.",
};
const SIGNS = { better: "▲", worse: "▼", undecided: "○" };

// The sign goes by zero, the word by the margin where one was declared: a loss can be real and
// smaller than the margin.
function change(figure, difference) {
  const byZero = verdict(figure, difference);
  if (!byZero) return null;
  const judged = difference.verdict ?? byZero;
  const on = `Difference to ${baseline?.name ?? "the baseline"} on ${plural(difference.n, "utterance")}`;
  const margin = difference.margin ? `, margin ${formatMargin(difference.margin, figure.unit)}` : "";
  return h("div", { class: "change", title: on + margin },
    h("span", { class: `sign-${byZero}`, "aria-hidden": "true" }, SIGNS[byZero]),
    judged === byZero ? null : said(`against zero ${byZero}, against the margin `),
    h("span", {}, formatDifference(difference, figure.unit)),
    h("span", { class: "small" }, formatInterval(difference, figure.unit, true)),
    h("span", { class: "line" }, h("span", { class: `pill ${judged}`, title: MEANINGS[judged] ?? null }, judged)));
}

const formatMargin = (margin, unit) => `${+scaled(margin, unit).toPrecision(6)}${unit === "fraction" ? "\u00a0pt" : ""}`;

function costTable() {
  const made = data.systems.filter((system) => system.costs);
  const rows = made.map((system) => h("tr", { role: "row" },
    h("th", { scope: "row", role: "rowheader" }, system.name),
    system.costs.map((shown, index) => h("td", { role: "cell", "data-title": data.costs.titles[index] }, shown))));
  const heads = data.costs.titles.map((title) => columnHead(title));
  return board("Cost", [columnHead("System"), ...heads], h("tbody", { role: "rowgroup" }, rows));
}

function paperTable() {
  const { titles, rows } = data.paper;
  const body = rows.map(([name, ...cells]) => h("tr", { role: "row" },
    h("th", { scope: "row", role: "rowheader" }, name),
    cells.map((shown, index) => h("td", { role: "cell", "data-title": titles[index] }, shown))));
  const heads = titles.map((title) => columnHead(title));
  return board("The paper's table", [columnHead("System"), ...heads], h("tbody", { role: "rowgroup" }, body));
}

function drawLeaderboard() {
  $("leaderboard").append(leaderboard(headline));
  if (data.verdicts) $("leaderboard").append(h("p", { class: "caption verdicts" }, data.verdicts));
  if (data.systems.some((system) => system.costs)) {
    $("leaderboard").append(h("h3", {}, "Cost"), h("p", { class: "caption" }, data.costs.note), costTable());
  }
  if (data.paper) {
    $("leaderboard").append(h("h3", {}, "The paper's table"), paperTable(),
      ...data.paper.notes.map((note) => h("p", { class: "caption" }, note)));
  }
  const others = data.figures.filter((figure) => !headline.includes(figure));
  if (others.length) {
    $("leaderboard").append(h("details", { class: "more" },
      h("summary", {}, `${plural(others.length, "more figure")}`), figureTable(others)));
  }
  const levels = new Set(data.systems.flatMap((x) => Object.values(x.figures).map((f) => f.level)));
  const level = [...levels].filter(Boolean).map((x) => `${+(x * 100).toFixed(2)}\u00a0%`).join(" and ");
  const against = baseline
    ? ` Differences are to ${baseline.name}: ▲ better, ▼ worse, ○ undecided, which is not the same as equal.` : "";
  $("leaderboard-caption").textContent = `${level ? `Brackets are ${level} intervals.` : ""}${against}`;
}
