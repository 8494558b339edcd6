// The report's data, building of elements, and the writing of numbers.

const data = JSON.parse(document.getElementById("data").textContent);
const figures = new Map(data.figures.map((figure) => [figure.name, figure]));
const marked = data.figures.filter((figure) => figure.headline);
const headline = marked.length ? marked : data.figures;
const baseline = data.systems.find((system) => system.is_baseline) ?? null;

const $ = (id) => document.getElementById(id);

// Text reaches the page through here only: as text nodes and attribute values, never as markup.
function dress(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== false));
  return node;
}

const h = (tag, attributes = {}, ...children) =>
  dress(document.createElement(tag), attributes, children);

const s = (tag, attributes = {}, ...children) =>
  dress(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

// Words for screen readers only; with a direction of their own they never set that of a text.
const said = (text) => h("span", { class: "hidden", dir: "ltr" }, text);

// A text of the test set: its own language and direction.
const spoken = (tag, attributes, ...children) =>
  h(tag, { dir: "auto", lang: data.testset.language, ...attributes }, ...children);

const DECIMALS = { fraction: 1, cosine: 3, mos: 2 };
const decimalsOf = (unit) => DECIMALS[unit] ?? 3;
const scaled = (value, unit) => (unit === "fraction" ? value * 100 : value);

function formatNumber(value, unit, signed = false) {
  if (value === null || value === undefined) return "—";
  const number = scaled(value, unit);
  const digits = Math.abs(number).toFixed(decimalsOf(unit));
  if (signed) return (number < 0 ? "−" : number > 0 ? "+" : "") + digits; // also where it rounds to 0
  return (number < 0 && Number(digits) !== 0 ? "−" : "") + digits;
}

function formatValue(value, unit) {
  const text = formatNumber(value, unit);
  return unit === "fraction" && text !== "—" ? `${text}\u00a0%` : text;
}

function formatInterval(estimate, unit, signed = false) {
  if (estimate.low === null || estimate.high === null) return "no interval";
  const [low, high] = [estimate.low, estimate.high].map((x) => formatNumber(x, unit, signed));
  return `[${low}, ${high}]`;
}

function formatDifference(difference, unit) {
  const text = formatNumber(difference.value, unit, true);
  return unit === "fraction" && text !== "—" ? `${text}\u00a0pt` : text;
}

// A figure that counts failed clips as a fixed value rests on all clips, the failed ones included.
function formatCount(estimate, clips) {
  const { n, n_failed: failed } = estimate;
  if (!failed) return grouped(n);
  return n + failed > clips ? `${grouped(n)}, ${grouped(failed)} of them failed` : `${n}/${n + failed}`;
}

const grouped = (count) => count.toLocaleString("en");
const plural = (count, noun) => `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;
const formatSeconds = (value) =>
  value === null || value === undefined ? "—" : `${value.toFixed(1)} s`;

function formatDate(iso) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return iso;
  return `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

// By zero alone: a difference decides only where its interval leaves out zero.
function verdict(figure, difference) {
  if (!difference) return null;
  const { low, high } = difference;
  if (low === null || high === null || (low <= 0 && high >= 0)) return "undecided";
  return (low > 0) === figure.higher_is_better ? "better" : "worse";
}
