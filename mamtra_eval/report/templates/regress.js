// Every clip against the baseline's clip of the same utterance and repeat, in one chosen figure.

const rivals = baseline ? clips.filter((clip) => clip.system !== baseline.name) : [];
const comparable = rivals.length ? clipHeadline : [];
let compared = comparable.find(({ name }) => name === "wer") ?? comparable[0] ?? null;
const usual = compared; // which it is if nothing else was chosen
const partners = findPartners();
let gaps = findGaps();

// By clip the number of the baseline's, or -1: for the baseline itself and where it has none.
function findPartners() {
  const key = (clip) => `${clip.repeat} ${clip.utterance}`;
  const own = new Map(clips.filter((clip) => clip.system === baseline?.name).map((clip) => [key(clip), clip.index]));
  return Int32Array.from(clips, (clip) => (clip.system === baseline?.name ? -1 : own.get(key(clip)) ?? -1));
}

// Differences of values, this clip's minus the baseline's; NaN where either has none.
function findGaps() {
  if (!compared) return new Float64Array(clips.length).fill(NaN);
  return Float64Array.from(partners, (partner, index) =>
    partner < 0 ? NaN : (clips[index].value(compared) ?? NaN) - (clips[partner].value(compared) ?? NaN));
}

function compareBy(name) {
  const figure = comparable.find((one) => one.name === name);
  if (!figure) return;
  compared = figure;
  gaps = findGaps();
}

const HAIR = 1e-6; // values are rounded to as much
const loss = (index) => (compared?.higher_is_better ? -gaps[index] : gaps[index]);
const isRegression = ({ index }) => loss(index) > HAIR;

const gapTitle = () => `Δ ${shortTitle(compared)} vs ${baseline.name}`;

function gapText(index) {
  const gap = gaps[index];
  if (Number.isNaN(gap)) return "—";
  return Math.abs(gap) < HAIR ? "0" : formatDifference({ value: gap }, compared.unit);
}

function gapCell({ index }) {
  const worth = loss(index);
  const kind = worth > HAIR ? "worse" : worth < -HAIR ? "better" : null;
  return h("span", { class: kind && `gap ${kind}` }, gapText(index), kind ? said(` ${kind}`) : null);
}
