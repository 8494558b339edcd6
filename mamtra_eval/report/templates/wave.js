// The waveform of a clip, from its outline (see envelope.py): no audio is decoded. A click plays
// from there; the player's slider does the same for the keyboard, so the drawing stays silent.

const LEVELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const levelOf = new Map([...LEVELS].map((character, level) => [character, level]));
const TOP = LEVELS.length - 1;

// Both sides of the middle line: along the upper edge and back along the lower one.
function outlinePath(outline) {
  const levels = [...outline].map((character) => levelOf.get(character) ?? 0);
  const edge = (side) => levels.map((level, i) => [i, TOP + side * Math.max(level, 0.8)]);
  const steps = (points, back) => points.flatMap(([i, y]) => (back ? [[i + 1, y], [i, y]] : [[i, y], [i + 1, y]]));
  const points = [...steps(edge(-1), false), ...steps(edge(1).reverse(), true)];
  return `M${points.map(([x, y]) => `${x} ${y.toFixed(1)}`).join("L")}Z`;
}

// All clips of an utterance on one scale of time, so that what is cut or runs away is seen.
function waveform(clip, wanted, longest) {
  if (!clip.envelope || !clip.duration || !longest) return null;
  const d = outlinePath(clip.envelope);
  const drawing = (kind) =>
    s("svg", { class: kind, viewBox: `0 0 ${clip.envelope.length} ${2 * TOP}`, preserveAspectRatio: "none" }, s("path", { d }));
  const click = (event) => {
    const box = wave.getBoundingClientRect();
    playFrom(wanted, (event.clientX - box.left) / box.width);
  };
  const wave = h("div", { class: "wave", "data-key": wanted.key, click }, drawing("rest"), drawing("heard"));
  wave.style.setProperty("--share", (clip.duration / longest).toFixed(4));
  return h("div", { class: "lane", "aria-hidden": "true" }, wave);
}
