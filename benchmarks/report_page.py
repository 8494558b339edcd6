"""report.html at full size: how soon it is seen, and how long a sort, a filter, a search takes.

    python benchmarks/report_page.py [--utterances N] [--systems N] [--loads N] [--keep FILE]

A run's database is filled with made-up rows of six systems times 3,508 utterances (all lists of
Seed-TTS-eval together), without audio; the report is written from it as ``report``
does, and opened from disk in headless Chromium, anew for every load. Paint times are the browser's
own; the table stands when its first rows do. Interactions are timed from the click until the frame
after the one that shows them, which is one frame more than a person waits for. Needs Playwright and
a Chromium on the path (the dependency group ``browser``).
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from mamtra_eval import envelope, provenance, results
from mamtra_eval.metrics import Figure, Reading
from mamtra_eval.reader import RunReader
from mamtra_eval.report import html
from mamtra_eval.rows import ClipKey, MetricRow, SystemRow
from mamtra_eval.store import Store
from mamtra_eval.testset import Utterance

TEXT = (
    "the quick river carried a letter past every quiet harbour while seven old sailors argued "
    "about weather and nobody heard the bell from that green hill where morning light falls on"
)
WORDS = TEXT.split()
METRICS = (
    MetricRow("wer", "asr:made-up", "", (
        Figure("wer", "errors", "words", unit="fraction", higher_is_better=False, failed=1.0,
               title="WER, mean of utterances"),
        Figure("wer_pooled", "errors", "words", "pooled", "fraction", False, failed=1.0,
               title="WER, pooled"),
    )),
    MetricRow("similarity", "spk:made-up", "", (
        Figure("similarity", "cosine", unit="cosine", title="Speaker similarity"),)),
    MetricRow("dnsmos", "dnsmos:made-up", "", (
        Figure("dnsmos", "overall", unit="mos", title="DNSMOS overall"),)),
    MetricRow("health", "health:made-up", "", (
        Figure("health", "flagged", unit="fraction", higher_is_better=False,
               title="Clips with a health flag"),)),
)  # fmt: skip
LOADED = """
new MutationObserver((_, watch) => {
  if (!document.getElementById("count")?.textContent) return;
  window.tableAt = performance.now();
  watch.disconnect();
}).observe(document, { childList: true, subtree: true, characterData: true });
"""
TIMED = """async ([kind, what]) => {
  const node = document.querySelector(what);
  const started = performance.now();
  if (kind === "click") node.click();
  else {
    node.value = kind;
    node.dispatchEvent(new Event("input", { bubbles: true }));
  }
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now() - started;
}"""
ACTIONS = {
    "sort by WER": ("click", 'th[data-key="value:wer"] .sort'),
    "sort by DNSMOS": ("click", 'th[data-key="value:dnsmos"] .sort'),
    "sort by utterance": ("click", 'th[data-key="utterance"] .sort'),
    "regressions, largest first": ("click", "#show input[value=regressions]"),
    "one system only": ("click", "#systems .chip:nth-child(3)"),
    "search for a word": ("harbour", "#query"),
    "search, one letter more": ("harbour w", "#query"),
    "unfold a row": ("click", "tr.clip .fold"),
}


def fill(store: Store, systems: int, utterances: int) -> None:
    """Rows of a finished run."""
    rng = random.Random(0)
    texts = {f"utt-{n:05d}": rng.choices(WORDS, k=rng.randint(6, 16)) for n in range(utterances)}
    with store.transaction():
        items = [
            Utterance(name, " ".join(words), "a prompt", store.folder / f"prompts/{n % 300}.wav",
                      store.folder / f"truth/{name}.wav")
            for n, (name, words) in enumerate(texts.items())
        ]  # fmt: skip
        store.add_utterances(items, dict.fromkeys(texts, ""))
        for metric in METRICS:
            store.add_metric(metric)
        for number in range(systems):
            name = f"system-{number}"
            store.add_system(SystemRow(name, "made-up", f"made-up:{number}", name, {}))
            for utterance, words in texts.items():
                _clip(store, ClipKey(name, utterance, 0), words, 0.02 + 0.02 * number, rng)
        store.set_meta("baseline", "system-0")
        store.set_meta("statistics", {"level": 0.95, "resamples": 10_000, "seed": 0})
        store.set_meta("margins", {"wer": 0.005, "similarity": 0.01})
        store.set_meta("testset", {"name": "made-up", "language": "en", "sha256": "0" * 64,
                                   "n": utterances, "repeats": 1, "seed": 0})  # fmt: skip


def _clip(store: Store, key: ClipKey, words: list[str], rate: float, rng: random.Random) -> None:
    store.add_clip(key, rng.randrange(2**31))
    if rng.random() < 0.002:
        store.fail_clip(key, "the decoder did not stop in 30 s")
        return
    outline = "".join(rng.choices(envelope.LEVELS, k=envelope.POINTS))
    store.finish_clip(
        key, path=f"clips/{key.system}/{key.utterance}.flac", sha256="", sample_rate_hz=24000,
        duration_s=0.35 * len(words), synthesis_s=1.0, envelope=outline,
    )  # fmt: skip
    alignment = [_heard(word, rate, rng) for word in words]
    errors = sum(operation != "equal" for operation, _, _ in alignment)
    transcript = " ".join(heard for _, _, heard in alignment if heard)
    flags = ["clipped"] if rng.random() < 0.02 else []
    readings = {
        "wer": Reading({"errors": errors, "words": len(words)},
                       {"transcript": transcript, "alignment": alignment}),
        "similarity": Reading({"cosine": rng.gauss(0.9, 0.03)}),
        "dnsmos": Reading({"overall": rng.gauss(3.0, 0.2)}),
        "health": Reading({"flagged": float(bool(flags))}, {"flags": flags}),
    }  # fmt: skip
    for metric, reading in readings.items():
        store.add_reading(key, metric, reading, 0.0)


def _heard(word: str, rate: float, rng: random.Random) -> list[str]:
    chance = rng.random()
    if chance < rate / 2:
        return ["substitute", word, rng.choice(WORDS)]
    return ["delete", word, ""] if chance < rate else ["equal", word, word]


def main() -> None:
    """Print sizes and times."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--utterances", type=int, default=3508)
    parser.add_argument("--systems", type=int, default=6)
    parser.add_argument("--loads", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="Keep a copy of the page here.")
    given = parser.parse_args()
    machine = provenance.collect()
    print(
        f"{machine['processor']}, {os.cpu_count()} cores; "
        f"{given.systems} systems, {given.utterances} utterances"
    )
    with tempfile.TemporaryDirectory() as folder:
        page = _write(Path(folder) / "run", given.systems, given.utterances)
        _measure(page, given.loads)
        if given.keep:
            shutil.copy(page, given.keep)


def _write(run: Path, systems: int, utterances: int) -> Path:
    with Store(run) as store:
        fill(store, systems, utterances)
    started = time.perf_counter()
    with RunReader(run) as store:
        found = results.collect(store)
    collected = time.perf_counter()
    page = html.write(found)
    _line("rows to figures (10,000 resamples)", collected - started, "s")
    _line("figures to report.html", time.perf_counter() - collected, "s")
    _line("report.html", page.stat().st_size / 1e6, "MB")
    return page


def _measure(page: Path, loads: int) -> None:
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    if binary is None:
        raise SystemExit("no Chromium on the path (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=binary, args=["--no-sandbox", "--disable-gpu"]
        )
        print(f"Chromium {browser.version}, headless; median and worst of {loads} loads")
        found = [dict(_load(browser, page)) for _ in range(loads)]
        browser.close()
    for title in found[0]:
        times = [one[title] for one in found]
        print(f"{title:<40}{statistics.median(times):8.0f} {max(times):8.0f} ms")


def _load(browser: Browser, path: Path) -> Iterator[tuple[str, float]]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(LOADED)
    page: Page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("#count:not(:empty)")
    page.wait_for_timeout(100)
    paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    yield "first contentful paint", page.evaluate(paint)
    yield "table there, ready to be used", page.evaluate("window.tableAt")
    page.wait_for_timeout(1000)
    for title, action in ACTIONS.items():
        yield title, page.evaluate(TIMED, list(action))
    context.close()


def _line(title: str, value: float, unit: str) -> None:
    print(f"{title:<40}{value:8.1f} {unit}")


if __name__ == "__main__":
    main()
