// Beside the run's own figures: plots of the trade-off, and numbers that others have published.

const darkness = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : darkness.matches;
}

function svgUrl(text) {
  const bytes = new TextEncoder().encode(text);
  return `data:image/svg+xml;base64,${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))}`;
}

function drawTradeoff() {
  const { note, plots = [] } = data.tradeoff ?? {};
  if (!plots.length) return;
  const images = plots.map((plot) => {
    const image = h("img", { alt: plot.alt ?? plot.title });
    // Panels side by side stay legible on a phone: the frame scrolls then.
    image.style.setProperty("--least", 240 * (plot.panels ?? 1));
    image.style.setProperty("--most", Math.max(560, 390 * (plot.panels ?? 1)));
    return image;
  });
  const show = () => images.forEach((image, index) => {
    image.src = svgUrl(isDark() ? plots[index].svg_dark : plots[index].svg_light);
  });
  $("tradeoff").append(h("h3", {}, "Trade-off"), note ? h("p", { class: "caption" }, note) : "",
    h("div", { class: "pictures" }, plots.map((plot, index) =>
      h("figure", { class: "plot" }, h("figcaption", {}, plot.title),
        h("div", { class: "pan", tabindex: 0, role: "group", "aria-label": plot.title }, images[index])))));
  $("tradeoff").hidden = false;
  show();
  darkness.addEventListener("change", show);
  document.addEventListener("themechange", show);
}

// Closed, and in a frame of its own: nobody shall take these for measurements of this run.
function drawPublished() {
  const { note, rows = [], reasons = [] } = data.published ?? {};
  if (!data.published) return;
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.values)))];
  const title = (name) => figures.get(name)?.title ?? name;
  const cells = (row) => names.map((name) =>
    h("td", { role: "cell", "data-title": title(name) }, row.values[name]?.text ?? "—"));
  const body = rows.map((row, index) => h("tr", { role: "row" }, // the reasons name rows by number
    h("th", { scope: "row", role: "rowheader" }, `${index + 1}. ${row.system}`), cells(row),
    h("td", { role: "cell", "data-title": "Source" }, row.source, row.date ? h("div", { class: "small" }, row.date) : null),
    h("td", { role: "cell", "data-title": "This run against it" }, (row.against ?? []).map(against))));
  const heads = ["System", ...names.map(title), "Source", "This run against it"].map((text) => columnHead(text));
  $("leaderboard").append(h("details", { class: "more published" },
    h("summary", {}, "Published numbers (not measured here)"),
    note ? h("p", { class: "caption" }, note) : null,
    rows.length ? board("Published numbers, not measured here", heads, h("tbody", { role: "rowgroup" }, body)) : null,
    reasons.length ? h("ul", { class: "reasons" }, reasons.map((reason) => h("li", {}, reason))) : null));
}

const against = ({ system, figure, verdict: word }) =>
  h("div", { class: "change" }, `${system}, ${short(figures.get(figure)?.title ?? figure)} `, h("span", { class: `pill ${word}` }, word));
