// What a clip's row unfolds into: texts, word alignment, prompt, failures, the other systems.

const FLAGS = ["health", "failures"]; // metrics whose readings of a clip are its flags

const reasonFor = (clip, figure) => clip.failures?.[figure.name] ?? clip.failures?.[figure.metric] ?? null;

// Figures that say something about one clip. The mean and the pooled rate of one metric do not
// differ there, so a figure that repeats an earlier one of its metric is left out.
const clipFigures = data.figures.reduce((kept, figure) => {
  const value = (clip, { name }) => clip.values?.[name] ?? null;
  const repeats = (other) =>
    other.metric === figure.metric && data.clips.every((clip) => value(clip, other) === value(clip, figure));
  const measured = data.clips.some((clip) => Object.hasOwn(clip.values ?? {}, figure.name));
  if (measured && !FLAGS.includes(figure.metric) && !kept.some(repeats)) kept.push(figure);
  return kept;
}, []);
const clipHeadline = clipFigures.filter((figure) => headline.includes(figure));

// "WER, mean of utterances" is just "WER" beside a single clip.
const short = (title) => title.split(",")[0];
const shortTitle = (figure) =>
  clipFigures.filter(({ title }) => short(title) === short(figure.title)).length > 1 ? figure.title : short(figure.title);

const repeated = data.clips.some((clip) => clip.repeat > 0);
const clipName = (clip) =>
  `${clip.utterance}${repeated ? ` #${clip.repeat}` : ""} · ${clip.system}`;

const clipButton = (clip, index) => playButton(clip.audio, `clip:${index}`, clipName(clip));

function clipHash(clip) {
  const repeat = clip.repeat > 0 ? `&rep=${clip.repeat}` : "";
  return `#utt=${encodeURIComponent(clip.utterance)}&sys=${encodeURIComponent(clip.system)}${repeat}`;
}

const edit = (kind, ...parts) => h("span", { class: `edit ${kind}` }, ...parts);
const sign = (text) => h("span", { class: "sign", "aria-hidden": "true" }, text);

// Every kind of edit has its own sign and decoration, and words for those who cannot see either.
function wordDiff(alignment) {
  const edits = {
    equal: (ref) => ref,
    substitute: (ref, hyp) =>
      edit("substitute", said("substituted "), h("del", {}, ref), said(" by "), sign("›"), h("ins", {}, hyp)),
    delete: (ref) => edit("delete", said("deleted "), sign("−"), h("del", {}, ref)),
    insert: (_, hyp) => edit("insert", said("inserted "), sign("+"), h("ins", {}, hyp)),
  };
  const pieces = alignment.flatMap(([operation, ref, hyp]) => [
    (edits[operation] ?? ((x, y) => `${x} ${y}`))(ref, hyp), " ",
  ]);
  return spoken("p", { class: "diff" }, pieces);
}

const diffLegend = () =>
  h("p", { class: "small difflegend", "aria-hidden": "true" },
    h("span", {}, edit("substitute", h("del", {}, "reference"), sign("›"), h("ins", {}, "heard")), " substituted"),
    h("span", {}, edit("delete", sign("−"), h("del", {}, "word")), " deleted"),
    h("span", {}, edit("insert", sign("+"), h("ins", {}, "word")), " inserted"));

const block = (title, ...content) => h("div", { class: "block" }, h("h4", {}, title), ...content);

function clipValues(clip) {
  const row = (title, value, bad) => h("div", {}, h("dt", {}, title), h("dd", { class: bad ? "bad" : null }, value));
  const rows = clipFigures.map((figure) => {
    const why = reasonFor(clip, figure);
    return row(shortTitle(figure), why ?? formatValue(clip.values?.[figure.name], figure.unit), why);
  });
  const shown = new Set(clipFigures.flatMap(({ name, metric }) => [name, metric]));
  const others = Object.entries(clip.failures ?? {}).filter(([key]) => !shown.has(key));
  rows.push(...others.map(([key, why]) => row(key, why, true)));
  rows.push(row("Duration", formatSeconds(clip.duration_s), false));
  return h("dl", { class: "measures" }, rows);
}

const flagList = (clip) =>
  (clip.flags ?? []).map((flag) => h("span", { class: "flag", title: clip.reasons?.[flag] ?? null }, flag));

const reasonList = (clip) =>
  Object.entries(clip.reasons ?? {}).map(([flag, why]) => spoken("p", { class: "small" }, `${flag}: ${why}`));

const errorLine = (clip) =>
  clip.error ? h("p", { class: "error" }, h("span", { class: "pill worse" }, "failed"), " ", clip.error) : null;

// One card per clip of the utterance; the numbers are the keys that play them.
function compareCard(index, number, isSelf) {
  const clip = data.clips[index];
  const values = clipHeadline.map((figure) =>
    h("span", {}, `${shortTitle(figure)} `, h("b", {}, formatValue(clip.values?.[figure.name], figure.unit))));
  const heard = clip.alignment ? wordDiff(clip.alignment)
    : clip.transcript === null ? null : spoken("p", { class: "diff" }, clip.transcript);
  const head = h("header", {}, clipButton(clip, index),
    h("a", { href: clipHash(clip) }, repeated ? `${clip.system} #${clip.repeat}` : clip.system),
    number <= 9 ? h("kbd", { title: `Press ${number} to play` }, number) : null);
  return h("li", { class: isSelf ? "card is-self" : "card", "aria-current": isSelf ? "true" : null },
    head, h("p", { class: "small values" }, values), errorLine(clip), heard);
}

function detail(index, siblings) {
  const clip = data.clips[index];
  const reference = block("Reference", spoken("p", { class: "said" }, clip.text));
  const transcript = clip.transcript === null ? null
    : block("Transcript", spoken("p", { class: "said" }, clip.transcript || "(nothing recognised)"));
  const alignment = clip.alignment ? block("Word alignment", wordDiff(clip.alignment), diffLegend()) : null;
  const second = typeof clip.second !== "string" ? null
    : block(`Second recogniser${clip.agree ? ": the same words" : ""}`,
      spoken("p", { class: "said" }, clip.second || "(nothing recognised)"));
  const play = playButton(clip.prompt, `prompt:${clip.prompt}`, `prompt of ${clip.utterance}`);
  const prompt = clip.prompt
    ? block("Prompt", h("p", { class: "inline" }, play, h("code", {}, clip.prompt.startsWith("data:") ? "" : clip.prompt)))
    : null;
  const flags = clip.flags?.length ? block("Flags", h("p", { class: "inline" }, flagList(clip)), ...reasonList(clip)) : null;
  const link = h("a", { class: "small", href: clipHash(clip) }, "Link to this clip");
  const cards = siblings.map((other, place) => compareCard(other, place + 1, other === index));
  return h("div", { class: "detail" },
    errorLine(clip),
    h("div", { class: "columns" },
      h("div", {}, reference, transcript, alignment, second),
      h("div", {}, block("Measures", clipValues(clip)), flags, prompt, link)),
    cards.length > 1 ? block("The same utterance by every system", h("ol", { class: "cards" }, cards)) : null);
}
