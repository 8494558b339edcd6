// What a clip's row unfolds into: texts, word alignment, prompt, failures, the other systems.

const FLAGS = ["health", "failures"]; // metrics whose readings of a clip are its flags

const reasonFor = (clip, figure) => clip.failures[figure.name] ?? clip.failures[figure.metric] ?? null;

// Figures that say something about one clip. The mean and the pooled rate of one metric do not
// differ there, so a figure that repeats an earlier one of its metric is left out.
const clipFigures = data.figures.reduce((kept, figure) => {
  const repeats = (other) =>
    other.metric === figure.metric && clips.every((clip) => clip.value(other) === clip.value(figure));
  const measured = Object.hasOwn(data.clips.values, figure.name);
  if (measured && !FLAGS.includes(figure.metric) && !kept.some(repeats)) kept.push(figure);
  return kept;
}, []);
const clipHeadline = clipFigures.filter((figure) => headline.includes(figure));

// "WER, mean of utterances" is just "WER" beside a single clip.
const short = (title) => title.split(",")[0];
const shortTitle = (figure) =>
  clipFigures.filter(({ title }) => short(title) === short(figure.title)).length > 1 ? figure.title : short(figure.title);

const repeated = clips.some((clip) => clip.repeat > 0);
const clipName = (clip) =>
  `${clip.utterance}${repeated ? ` #${clip.repeat}` : ""} · ${clip.system}`;

const sourceOf = (clip) => ({ key: `clip:${clip.index}`, label: clipName(clip), path: clip.audio });
const clipButton = (clip) => playButton(sourceOf(clip));

// What an utterance was spoken after: the test set's own recording of it, and the voice's prompt.
const REFERENCES = {
  truth: ["Ground truth", "the test set's recording of this utterance", "g"],
  prompt: ["Prompt", "the voice that was to be spoken with", "p"],
};
const referenceOf = (clip, kind) => ({
  key: `${kind}:${clip[kind]}`, label: `${REFERENCES[kind][0].toLowerCase()} of ${clip.utterance}`, path: clip[kind],
});

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
    return row(shortTitle(figure), why ?? formatValue(clip.value(figure), figure.unit), why);
  });
  if (compared && partners[clip.index] >= 0) rows.push(row(gapTitle(), gapCell(clip), false));
  const shown = new Set(clipFigures.flatMap(({ name, metric }) => [name, metric]));
  const others = Object.entries(clip.failures).filter(([key]) => !shown.has(key));
  rows.push(...others.map(([key, why]) => row(key, why, true)));
  rows.push(row("Duration", formatSeconds(clip.duration), false));
  return h("dl", { class: "measures" }, rows);
}

const flagList = (clip) =>
  clip.flags.map((flag) => h("span", { class: "flag", title: clip.reasons[flag] ?? null }, flag));

const reasonList = (clip) =>
  Object.entries(clip.reasons).map(([flag, why]) => spoken("p", { class: "small" }, `${flag}: ${why}`));

const errorLine = (clip) =>
  clip.error ? h("p", { class: "error" }, h("span", { class: "pill worse" }, "failed"), " ", clip.error) : null;

// One card per clip of the utterance; the numbers are the keys that play them.
function compareCard(clip, number, isSelf, longest) {
  const values = clipHeadline.map((figure) =>
    h("span", {}, `${shortTitle(figure)} `, h("b", {}, formatValue(clip.value(figure), figure.unit))));
  const gap = compared && !Number.isNaN(gaps[clip.index])
    ? h("span", {}, `Δ ${shortTitle(compared)} `, h("b", {}, gapCell(clip))) : null;
  const heard = clip.alignment ? wordDiff(clip.alignment)
    : clip.transcript === null ? null : spoken("p", { class: "diff" }, clip.transcript);
  const head = h("header", {}, clipButton(clip),
    h("a", { href: clipHash(clip) }, repeated ? `${clip.system} #${clip.repeat}` : clip.system),
    clip.system === baseline?.name ? h("span", { class: "pill" }, "baseline") : null,
    number <= 9 ? h("kbd", { title: `Press ${number} to play` }, number) : null);
  return h("li", { class: isSelf ? "card is-self" : "card", "aria-current": isSelf ? "true" : null },
    head, waveform(clip, sourceOf(clip), longest), errorLine(clip),
    h("p", { class: "small values" }, values, gap, h("span", {}, formatSeconds(clip.duration))), heard);
}

function referenceCard(clip, kind) {
  if (clip[kind] === null) return null;
  const [title, about, key] = REFERENCES[kind];
  return h("li", { class: "reference" }, playButton(referenceOf(clip, kind)),
    h("div", {}, h("b", {}, title), h("div", { class: "small" }, about)),
    h("kbd", { title: `Press ${key} to play` }, key));
}

function listening(clip, siblings) {
  const longest = Math.max(...siblings.map((index) => clips[index].duration ?? 0));
  const references = Object.keys(REFERENCES).map((kind) => referenceCard(clip, kind)).filter(Boolean);
  const cards = siblings.map((index, place) => compareCard(clips[index], place + 1, index === clip.index, longest));
  const drawn = siblings.some((index) => clips[index].envelope);
  const scale = drawn ? h("p", { class: "small" }, `Waveforms share one scale of time, 0 to ${formatSeconds(longest)}; click one to play from there.`) : null;
  return block("Listen: the same utterance by every system",
    references.length ? h("ul", { class: "references" }, references) : null,
    h("ol", { class: "cards" }, cards), scale);
}

function detail(clip, siblings) {
  const reference = block("Reference", spoken("p", { class: "said" }, clip.text));
  const transcript = clip.transcript === null ? null
    : block("Transcript", spoken("p", { class: "said" }, clip.transcript || "(nothing recognised)"));
  const alignment = clip.alignment ? block("Word alignment", wordDiff(clip.alignment), diffLegend()) : null;
  const second = typeof clip.second !== "string" ? null
    : block(`Second recogniser${clip.agree ? ": the same words" : ""}`,
      spoken("p", { class: "said" }, clip.second || "(nothing recognised)"));
  const flags = clip.flags.length ? block("Flags", h("p", { class: "inline" }, flagList(clip)), ...reasonList(clip)) : null;
  const link = h("a", { class: "small", href: clipHash(clip) }, "Link to this clip");
  return h("div", { class: "detail" },
    errorLine(clip),
    h("div", { class: "columns" },
      h("div", {}, reference, transcript, alignment, second),
      h("div", {}, block("Measures", clipValues(clip)), flags, link)),
    listening(clip, siblings));
}
