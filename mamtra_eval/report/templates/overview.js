// The header's facts, the forest plots and the footnotes.

const ROW = 30; // height of one system in a forest plot, as in report.css

function drawFacts() {
  const clips = data.systems.reduce((sum, system) => sum + system.clips, 0);
  const failed = data.systems.reduce((sum, system) => sum + system.clips_failed, 0);
  const facts = [
    ["Test set", h("span", { title: `sha256 ${data.testset.sha256}` }, data.testset.name)],
    ["Language", data.testset.language],
    ["Utterances", grouped(data.testset.n)],
    ["Systems", grouped(data.systems.length)],
    ["Clips", [grouped(clips), failed ? h("span", { class: "bad" }, `, ${grouped(failed)} with failures`) : null]],
    ["Created", h("time", { datetime: data.created }, formatDate(data.created))],
    ["Version", data.version],
    ["Run", data.run],
    ...(data.audio ? [["Audio", data.audio]] : []),
  ];
  $("facts").append(
    ...facts.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, ...[value].flat()))),
  );
}

const direction = (figure) => (figure.higher_is_better ? "higher is better" : "lower is better");

// One note a metric: its figures share a signature.
const metrics = [...new Set(data.figures.map((figure) => figure.metric))];

function footnote(figure) {
  const number = metrics.indexOf(figure.metric) + 1;
  const open = () => {
    $("footnotes").querySelector("details").open = true;
    $(`note-${number}`).focus();
  };
  const label = `Note ${number}: how ${figure.title} is computed`;
  return h("button", { type: "button", class: "note", "aria-label": label, click: open }, `${number}`);
}

// The range of a plot in display units, with round ticks.
function axisOf(figure, estimates) {
  const numbers = estimates
    .flatMap((e) => [e.value, e.low, e.high])
    .filter((x) => x !== null && x !== undefined)
    .map((x) => scaled(x, figure.unit));
  if (!numbers.length) return null;
  let [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const margin = (high - low) * 0.08 || Math.abs(high) * 0.1 || 1;
  [low, high] = [low >= 0 ? Math.max(0, low - margin) : low - margin, high + margin];
  const widest = (high - low) / 2.5;
  const power = 10 ** Math.floor(Math.log10(widest));
  const step = [5, 2, 1].map((k) => k * power).find((k) => k <= widest);
  const ticks = [];
  for (let k = Math.ceil(low / step); k * step <= high; k += 1) ticks.push(k * step);
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const place = (x) => `${(3 + (94 * (x - low)) / (high - low)).toFixed(2)}%`;
  const label = (tick) => tick.toFixed(decimals) + (figure.unit === "fraction" ? "\u00a0%" : "");
  return {
    at: (value) => place(scaled(value, figure.unit)),
    // Of many, every other has a label: in percent they would touch.
    ticks: ticks.map((tick, index) => [place(tick), ticks.length > 5 && index % 2 ? "" : label(tick)]),
  };
}

// Shapes, so that nothing hangs on colour alone.
const MARKS = {
  baseline: "M-4.5-4.5h9v9h-9z",
  better: "M0-5.5A5.5 5.5 0 1 1 0 5.5 5.5 5.5 0 1 1 0-5.5z",
  worse: "M0-6.5 6.5 0 0 6.5-6.5 0z",
  undecided: "M0-4.5A4.5 4.5 0 1 1 0 4.5 4.5 4.5 0 1 1 0-4.5z",
};

const markOf = (figure, system) =>
  system.is_baseline ? "baseline" : (verdict(figure, system.figures[figure.name]?.difference) ?? "undecided");

function forest(figure) {
  const rows = data.systems.map((system) => [system, system.figures[figure.name] ?? null]);
  const estimates = rows.map(([, estimate]) => estimate).filter(Boolean);
  const axis = axisOf(figure, estimates);
  if (!axis) return h("p", { class: "caption" }, "No system has a value.");
  const height = rows.length * ROW;
  const lines = axis.ticks.map(([x]) => s("line", { class: "grid", x1: x, x2: x, y1: 0, y2: height }));
  const labels = axis.ticks.map(([x, text]) => s("text", { x, y: height + 16 }, text));
  const reference = baseline?.figures[figure.name]?.value ?? null;
  if (reference !== null) {
    const x = axis.at(reference);
    lines.push(s("line", { class: "reference", x1: x, x2: x, y1: 0, y2: height }));
  }
  const points = rows.map(([system, estimate], index) => point(figure, axis, system, estimate, index));
  const summary = rows.map(([system, estimate]) => `${system.name} ${describe(figure, estimate)}`);
  const plot = s("svg", { role: "img", height: height + 22, "aria-label": `${figure.title}: ${summary.join("; ")}` },
    ...lines, ...labels, ...points.filter(Boolean));
  const names = rows.map(([system]) => h("span", { title: system.name }, system.name));
  const values = rows.map(([, estimate]) => h("span", {}, formatValue(estimate?.value, figure.unit)));
  return h("div", { class: "forest" },
    h("div", { class: "names", "aria-hidden": "true" }, names), plot,
    h("div", { class: "values", "aria-hidden": "true" }, values));
}

function point(figure, axis, system, estimate, index) {
  if (!estimate || estimate.value === null) return null;
  const y = index * ROW + ROW / 2;
  const mark = markOf(figure, system);
  const parts = [s("title", {}, `${system.name} ${describe(figure, estimate)}`)];
  if (estimate.low !== null && estimate.high !== null) {
    parts.push(s("line", { class: "interval", x1: axis.at(estimate.low), x2: axis.at(estimate.high), y1: y, y2: y }));
  }
  parts.push(s("svg", { x: axis.at(estimate.value), y, overflow: "visible" }, s("path", { d: MARKS[mark] })));
  return s("g", { class: `point ${mark}` }, ...parts);
}

const describe = (figure, estimate) =>
  estimate ? `${formatValue(estimate.value, figure.unit)} ${formatInterval(estimate, figure.unit)}` : "no value";

function drawPlots() {
  $("plots").append(...headline.map((figure) =>
    h("article", { class: "plot" },
      h("header", {}, h("h3", {}, figure.title, footnote(figure)),
        h("span", { class: `direction ${figure.higher_is_better ? "higher" : "lower"}` }, direction(figure))),
      forest(figure))));
  $("legend").append(...Object.entries(MARKS).map(([mark, d]) =>
    h("span", {},
      s("svg", { viewBox: "-8 -8 16 16", class: `point ${mark}`, "aria-hidden": "true" }, s("path", { d })),
      mark)));
}

function drawFootnotes() {
  const rows = metrics.map((metric, index) => {
    const figures = data.figures.filter((figure) => figure.metric === metric);
    return h("li", { id: `note-${index + 1}`, tabindex: "-1" },
      h("b", {}, metric), ` ${figures.map((figure) => figure.title).join("; ")}. `,
      figures[0].note ?? "", h("code", {}, figures[0].signature));
  });
  const notes = (data.notes ?? []).map((note) => h("li", { dir: "auto" }, note));
  $("footnotes").append(h("details", {},
    h("summary", {}, "How the figures are computed"),
    h("ol", {}, rows)));
  if (notes.length) {
    $("footnotes").append(h("details", { open: notes.length <= 3 },
      h("summary", {}, `Notes on this run (${notes.length})`), h("ul", {}, notes)));
  }
}
