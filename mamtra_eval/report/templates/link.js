// The state of the table in the address: what is shown can be passed on as a link, and a row, too.
//
// #utt=…&sys=…&rep=… opens a row; show, by, sort (column and direction), q and only (a system,
// once for each) say what the table shows. What is as at the beginning is left out.

const VIEW = ["show", "by", "sort", "q", "only"];
let opened = null; // the row that was unfolded last
let writing = 0;

function viewHash() {
  const view = [
    ["show", state.show === "all" ? "" : state.show],
    ["by", compared && compared !== usual ? compared.name : ""],
    ["sort", state.sort === "utterance" && state.up ? "" : `${state.sort} ${state.up ? "up" : "down"}`],
    ["q", state.query.trim()],
    ...[...state.systems].map((name) => ["only", name]),
  ];
  return view.filter(([, value]) => value).map(([key, value]) => `${key}=${encodeURIComponent(value)}`);
}

// Soon, not at once: browsers refuse more than some changes of an address in a second.
function remember() {
  clearTimeout(writing);
  writing = setTimeout(() => {
    const row = opened !== null && unfolded.has(opened) ? [clipHash(clips[opened]).slice(1)] : [];
    const parts = [...row, ...viewHash()];
    try {
      history.replaceState(null, "", parts.length ? `#${parts.join("&")}` : location.href.split("#")[0]);
    } catch {
      // some browsers refuse this on file: addresses; the link in the row still works
    }
  }, 150);
}

function openFromHash() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  if (VIEW.some((key) => wanted.has(key))) applyView(wanted);
  if (wanted.has("utt")) openRow(wanted);
}

// What the address asks for and this report does not have is passed over.
function applyView(wanted) {
  compareBy(wanted.get("by") ?? usual?.name);
  showGapColumn();
  const [key, way] = (wanted.get("sort") ?? "utterance up").split(" ");
  if (columns.some((column) => column.key === key)) Object.assign(state, { sort: key, up: way !== "down" });
  state.show = SHOWS.some(([name]) => name === wanted.get("show")) ? wanted.get("show") : "all";
  state.query = wanted.get("q") ?? "";
  state.systems = new Set(wanted.getAll("only").filter((name) => rankOfSystem.has(name)));
  $("query").value = state.query;
  refresh();
}

// The row that `utt`, `sys` and `rep` name, on whatever page it is.
function openRow(wanted) {
  const index = clips.findIndex((clip) => clip.utterance === wanted.get("utt")
    && (!wanted.has("sys") || clip.system === wanted.get("sys"))
    && (!wanted.has("rep") || clip.repeat === Number(wanted.get("rep"))));
  if (index < 0) return;
  if (!matching.includes(index)) clearFilters();
  unfolded.add(index);
  opened = index;
  state.page = Math.floor(matching.indexOf(index) / PAGE);
  selected = index;
  draw();
  select(index, true);
  rowOf(index).scrollIntoView({ block: "start" });
}
