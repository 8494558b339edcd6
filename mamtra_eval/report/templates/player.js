// One audio element for the whole page; every play button is a view of it.

const audio = $("audio");
let source = null; // what the player holds: { key, label, path }
let wish = null; // the share of it to be at, until it is there

// A number is the place of a file inside this page; it is read when it is played, not before.
function mediaUrl(path) {
  if (typeof path === "number") return $(`medium-${path}`).textContent;
  if (/^(data|file):/i.test(path)) return path;
  return path.split("/").map(encodeURIComponent).join("/");
}

function icon(shape) {
  const paths = { play: "M5 3.2v9.6L13 8z", pause: "M4.5 3.5h2.6v9H4.5zM8.9 3.5h2.6v9H8.9z" };
  return s("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: paths[shape] }));
}

function playButton({ path, key, label }) {
  const attributes = { type: "button", class: "play", "data-key": key, "data-label": label };
  if (path === null || path === "") {
    const why = `No audio: ${label}`;
    return h("button", { ...attributes, disabled: true, "aria-label": why }, icon("play"));
  }
  const click = (event) => {
    event.stopPropagation();
    toggleSource({ key, label, path });
  };
  const button = h("button", { ...attributes, click });
  showState(button);
  return button;
}

function toggleSource(wanted) {
  if (source?.key === wanted.key && !audio.error) {
    if (audio.paused) start();
    else audio.pause();
    return;
  }
  source = wanted;
  wish = null;
  audio.src = mediaUrl(wanted.path);
  $("player").hidden = false;
  document.body.classList.add("has-player");
  $("player-label").textContent = wanted.label;
  start();
}

// Plays from a share of the whole, as a click on a waveform wants it.
function playFrom(wanted, share) {
  if (wanted.path === null) return;
  if (source?.key !== wanted.key || audio.error) toggleSource(wanted);
  else start();
  seekTo(share);
}

function seekTo(share) {
  wish = share;
  if (Number.isFinite(audio.duration)) audio.currentTime = share * audio.duration; // else once it is known
}

// Chromium does not find every place in a FLAC file without a seek table, and gives the whole
// element up: then it is loaded again and asked for a place a little earlier, at last for none.
const EARLIER = 0.05;

function seekEarlier() {
  wish = wish > EARLIER ? wish - EARLIER : null;
  audio.src = mediaUrl(source.path);
  start();
}

function start() {
  audio.play().catch(() => {}); // a failure to load arrives as the error event
}

function closePlayer() {
  if (!source) return;
  source = null;
  audio.pause();
  audio.removeAttribute("src");
  audio.load();
  $("player").hidden = true;
  document.body.classList.remove("has-player");
  showPlayer();
}

function showState(button) {
  const current = source !== null && (button.id === "player-toggle" || button.dataset.key === source.key);
  const playing = current && !audio.paused && !audio.ended;
  const label = button.dataset.label ?? source?.label ?? "";
  button.classList.toggle("is-current", current);
  button.setAttribute("aria-label", `${playing ? "Pause" : "Play"} ${label}`);
  button.replaceChildren(icon(playing ? "pause" : "play"));
}

function showPlayer() {
  for (const button of document.querySelectorAll(".play:not([disabled])")) showState(button);
  for (const wave of document.querySelectorAll(".wave")) wave.classList.toggle("is-current", wave.dataset.key === source?.key);
  showProgress();
}

function showProgress() {
  const length = Number.isFinite(audio.duration) ? audio.duration : 0;
  const share = length ? audio.currentTime / length : 0;
  for (const button of document.querySelectorAll(".play.is-current, .wave.is-current")) {
    button.style.setProperty("--progress", share.toFixed(4));
  }
  $("player-seek").value = String(share);
  $("player-seek").setAttribute("aria-valuetext", `${audio.currentTime.toFixed(1)} seconds`);
  if (!audio.error) {
    $("player-time").textContent = `${audio.currentTime.toFixed(1)} / ${length.toFixed(1)} s`;
  }
  if (!audio.paused && !audio.ended) requestAnimationFrame(showProgress);
}

function startPlayer() {
  for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, showPlayer);
  for (const name of ["loadedmetadata", "seeked"]) audio.addEventListener(name, showProgress);
  audio.addEventListener("loadedmetadata", () => wish !== null && seekTo(wish));
  audio.addEventListener("seeked", () => {
    if (!audio.seeking) wish = null; // else the slider is on its way to another place
  });
  audio.addEventListener("error", () => {
    if (source && wish !== null && Number.isFinite(audio.duration)) return seekEarlier();
    if (source) $("player-time").textContent = "cannot be played";
    showPlayer();
  });
  $("player-toggle").addEventListener("click", () => source && toggleSource(source));
  $("player-close").addEventListener("click", closePlayer);
  $("player-seek").addEventListener("input", (event) => {
    if (source && !audio.error) seekTo(Number(event.target.value));
  });
}
