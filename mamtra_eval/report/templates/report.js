// Starts the page: theme, keyboard, and the parts in the order in which they are seen.

const THEMES = ["auto", "light", "dark"];

function memory(write) {
  try {
    if (write) localStorage.setItem("report-theme", write);
    return localStorage.getItem("report-theme");
  } catch {
    return null; // storage is closed to pages from disk in some browsers
  }
}

function startTheme() {
  let theme = THEMES.includes(memory()) ? memory() : "auto";
  const show = () => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    document.dispatchEvent(new Event("themechange"));
    $("theme").textContent = `Theme: ${theme}`;
  };
  $("theme").addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    memory(theme);
    show();
  });
  show();
}

const KEYS = {
  move: ["j", "k"], play: ["space"], details: ["enter"], "play that system": ["1–9"],
  "ground truth": ["g"], prompt: ["p"], regressions: ["r"], search: ["/"], close: ["esc"],
};

function drawKeys() {
  $("keys").append(...Object.entries(KEYS).map(([what, keys]) =>
    h("span", {}, keys.map((key) => h("kbd", {}, key)), what)));
}

function playSelected(number = null) {
  const siblings = siblingsOf.get(clips[selected]?.utterance) ?? [];
  const index = number === null ? selected : siblings[number - 1];
  const clip = clips[index];
  if (clip && clip.audio !== null) toggleSource(sourceOf(clip));
}

function playReference(kind) {
  const clip = clips[selected];
  if (clip && clip[kind] !== null) toggleSource(referenceOf(clip, kind));
}

const inTable = (target) => target.matches("tr.clip");
const isFree = (target) => target === document.body || inTable(target);

function handleKey(event) {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (key === "Escape") return leave(target);
  if (target.matches("input:not([type=radio]), select, textarea")) return;
  const actions = {
    "/": () => { $("query").focus(); $("query").select(); },
    g: () => playReference("truth"),
    p: () => playReference("prompt"),
    r: compared && (() => choose(state.show === "regressions" ? "all" : "regressions")),
    j: () => move(target === document.body ? 0 : 1),
    k: () => move(-1),
    ArrowDown: inTable(target) && (() => move(1)),
    ArrowUp: inTable(target) && (() => move(-1)),
    " ": isFree(target) && selected >= 0 && (() => playSelected()),
    Enter: isFree(target) && selected >= 0 && (() => toggle(selected)),
  };
  const action = /^[1-9]$/.test(key) ? () => playSelected(Number(key)) : actions[key];
  if (!action) return;
  event.preventDefault();
  action();
}

function leave(target) {
  if (target === $("query")) {
    if (rowOf(selected)) select(selected, true);
    else target.blur();
  } else if (inTable(target) && unfolded.has(selected)) toggle(selected);
  else closePlayer();
}

startTheme();
drawFacts();
drawPlots();
drawTradeoff();
drawLeaderboard();
drawPublished();
drawFootnotes();
if (data.sample) {
  $("sample").textContent = data.sample.note;
  $("sample").hidden = false;
}
drawKeys();
startPlayer();
startExplorer();
openFromHash();
addEventListener("hashchange", openFromHash);
addEventListener("keydown", handleKey);
