"""Regenerate the lists and the audio of the test set mini-en with the flite synthesizer.

Usage::

    python testsets/mini-en/regenerate.py            # write lists, prompts/ and recordings/
    python testsets/mini-en/regenerate.py --check    # compare with the committed files

Input (edited by hand, next to this script):

- ``sentences.txt``: 64 sentences, one per line.
- ``prompts.txt``: 8 prompt sentences, two for each voice, in the order of ``VOICES``.

Output (below the folder of this script, or below ``--out``):

- ``meta.lst`` and ``digits.lst``: ``utt|prompt_text|prompt_wav|infer_text|infer_wav``, paths
  relative to the list. Line ``i`` is spoken by voice ``i % 4``, so the voices are interleaved.
- ``prompts/<voice>-<1|2>.flac`` and ``recordings/<utt>.flac``: 16 kHz, mono, 16 bit.

The digit strings are drawn from a fixed seed; within each voice, every digit occurs equally often.

How a recording is made: flite speaks the text; a result that is not at 16 kHz is resampled; 0.2 s
are added at both ends; Gaussian noise at -80 dBFS RMS, seeded by the utterance id, is laid under
the whole file, so that no stretch of it is digital silence; the peak is set to -3 dBFS. No step
depends on the time, on the machine's load or on an unseeded generator.

``--check`` rebuilds everything in a temporary folder and compares the text of the lists and the
decoded samples. Exit status: 0 when all agree, 1 when something differs (each difference is
printed), 2 when the script could not do its work. Another version of flite, another processor or
another version of numpy's generator may give other samples, so each difference is printed with its
size: a few steps of 32767 are rounding, more than that is other audio.

Needs the ``flite`` program (Debian: ``apt install flite``) and the Python packages numpy, soundfile
and soxr.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile  # type: ignore[import-untyped, unused-ignore]
import soxr  # type: ignore[import-untyped, unused-ignore]

HERE = Path(__file__).resolve().parent
VOICES = ("awb", "rms", "kal16", "slt")
PROMPTS_PER_VOICE = 2
UTTERANCES = 64
MIN_WORDS, MAX_WORDS = 6, 14

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Lengths of the 16 digit strings of one voice: 3 to 7, together 80, eight of each digit.
DIGIT_LENGTHS = (3, 4, 5, 6, 7) * 3 + (5,)
DIGIT_SEED = 20240229

RATE = 16_000
PAD_SECONDS = 0.2
NOISE_DBFS = -80.0
PEAK_DBFS = -3.0
FLITE_TIMEOUT_SECONDS = 60

Samples = npt.NDArray[np.float64]


class RegenerateError(Exception):
    """Something outside the script is missing or wrong; the message says what to do."""


@dataclass(frozen=True)
class Clip:
    """One audio file to make: its id, who speaks, what, and where it goes (relative path)."""

    name: str
    voice: str
    text: str
    path: str


@dataclass(frozen=True)
class Entry:
    """One line of a list: a prompt and the recording of the text, by the same voice."""

    prompt: Clip
    recording: Clip

    def line(self) -> str:
        """Return the entry as a line of a Seed-TTS-eval list."""
        return "|".join(
            (
                self.recording.name,
                self.prompt.text,
                self.prompt.path,
                self.recording.text,
                self.recording.path,
            )
        )


def amplitude(dbfs: float) -> float:
    """Return the linear amplitude of a level in dBFS."""
    return float(10.0 ** (dbfs / 20.0))


def read_sentences(path: Path, count: int) -> list[str]:
    """Read exactly `count` distinct sentences of a permitted length, one per line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise RegenerateError(
            f"{path}: cannot be read ({error.strerror}); restore it from version control"
        ) from error
    for number, line in enumerate(lines, start=1):
        words = len(line.split())
        if not MIN_WORDS <= words <= MAX_WORDS:
            raise RegenerateError(
                f"{path}:{number}: {words} words; write {MIN_WORDS} to {MAX_WORDS} in each line"
            )
        if "|" in line:
            raise RegenerateError(f"{path}:{number}: '|' separates the columns; remove it")
    if len(lines) != count or len(set(lines)) != count:
        raise RegenerateError(
            f"{path}: {len(lines)} lines, {len(set(lines))} of them distinct; "
            f"make it {count} distinct lines"
        )
    return lines


def digit_strings() -> list[str]:
    """Draw the digit strings, in list order: balanced within each voice, no two alike."""
    generator = np.random.default_rng(DIGIT_SEED)
    by_voice: list[list[str]] = []
    for _ in VOICES:
        lengths = generator.permutation(DIGIT_LENGTHS).tolist()
        pool = generator.permutation(DIGITS * (sum(lengths) // len(DIGITS))).tolist()
        by_voice.append([" ".join(pool.pop() for _ in range(length)) for length in lengths])
    texts = [text for group in zip(*by_voice, strict=True) for text in group]
    if len(set(texts)) != UTTERANCES:
        raise RegenerateError(
            f"{Path(__file__).name}: DIGIT_SEED {DIGIT_SEED} draws {len(set(texts))} distinct "
            f"digit strings instead of {UTTERANCES}; choose another seed"
        )
    return texts


def make_prompts(texts: Sequence[str]) -> dict[str, list[Clip]]:
    """Give each voice its prompts, in the order of VOICES."""
    prompts: dict[str, list[Clip]] = {}
    for index, voice in enumerate(VOICES):
        own = texts[index * PROMPTS_PER_VOICE : (index + 1) * PROMPTS_PER_VOICE]
        names = [f"{voice}-{number}" for number in range(1, PROMPTS_PER_VOICE + 1)]
        prompts[voice] = [
            Clip(name, voice, text, f"prompts/{name}.flac")
            for name, text in zip(names, own, strict=True)
        ]
    return prompts


def make_entries(
    texts: Sequence[str], prompts: dict[str, list[Clip]], id_prefix: str
) -> list[Entry]:
    """Deal the texts out to the voices in turn and number them; prompts alternate."""
    entries: list[Entry] = []
    for index, text in enumerate(texts):
        voice = VOICES[index % len(VOICES)]
        turn = index // len(VOICES)
        name = f"{voice}-{id_prefix}{turn + 1:03d}"
        recording = Clip(name, voice, text, f"recordings/{name}.flac")
        entries.append(Entry(prompts[voice][turn % PROMPTS_PER_VOICE], recording))
    return entries


def plan() -> dict[str, list[Entry]]:
    """Return the entries of each list, by the list's file name."""
    sentences = read_sentences(HERE / "sentences.txt", UTTERANCES)
    prompt_texts = read_sentences(HERE / "prompts.txt", len(VOICES) * PROMPTS_PER_VOICE)
    shared = sorted(set(sentences) & set(prompt_texts))
    if shared:
        raise RegenerateError(
            f"{HERE / 'prompts.txt'}: also in sentences.txt: {shared[0]!r}; write another prompt"
        )
    prompts = make_prompts(prompt_texts)
    return {
        "meta.lst": make_entries(sentences, prompts, ""),
        "digits.lst": make_entries(digit_strings(), prompts, "d"),
    }


def all_clips(lists: dict[str, list[Entry]]) -> list[Clip]:
    """Return every audio file of the lists once, prompts first."""
    entries = [entry for group in lists.values() for entry in group]
    prompts = {entry.prompt.name: entry.prompt for entry in entries}
    return [*prompts.values(), *(entry.recording for entry in entries)]


def find_flite() -> str:
    """Return the path of flite after a look whether it has all the voices."""
    program = shutil.which("flite")
    if program is None:
        raise RegenerateError(
            "flite: not found on PATH; install it, on Debian or Ubuntu with: sudo apt install flite"
        )
    listing = run_flite([program, "-lv"]).partition(":")[2].split()
    missing = [voice for voice in VOICES if voice not in listing]
    if missing:
        raise RegenerateError(
            f"{program}: lacks the voices {', '.join(missing)} (flite -lv names those it has); "
            "use a flite built with them, such as Debian's package"
        )
    return program


def run_flite(command: Sequence[str]) -> str:
    """Run flite and return what it printed."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=FLITE_TIMEOUT_SECONDS
        )
    except subprocess.CalledProcessError as error:
        raise RegenerateError(
            f"{' '.join(command)}: exit status {error.returncode}: {error.stderr.strip()}; "
            "run the command by hand to see why"
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegenerateError(
            f"{' '.join(command)}: {error}; check that flite works by hand"
        ) from error
    return done.stdout


def speak(flite: str, clip: Clip) -> Samples:
    """Let flite speak the clip's text; return mono samples at RATE."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        run_flite([flite, "-voice", clip.voice, "-t", clip.text, "-o", str(wav)])
        try:
            samples, rate = soundfile.read(wav, dtype="float64", always_2d=True)
        except soundfile.SoundFileError as error:
            raise RegenerateError(
                f"{clip.name}: flite wrote no readable audio ({error}); "
                f"try: flite -voice {clip.voice} -t '{clip.text}' -o test.wav"
            ) from error
    mono: Samples = np.asarray(samples, dtype=np.float64).mean(axis=1)
    if rate != RATE:
        mono = np.asarray(soxr.resample(mono, rate, RATE, quality="VHQ"), dtype=np.float64)
    return mono


def scale_to_peak(samples: Samples, name: str) -> Samples:
    """Set the peak to PEAK_DBFS."""
    peak = float(np.max(np.abs(samples), initial=0.0))
    if peak == 0.0:
        raise RegenerateError(f"{name}: flite returned silence; check the text of this utterance")
    scaled: Samples = samples * (amplitude(PEAK_DBFS) / peak)
    return scaled


def noise(name: str, length: int) -> Samples:
    """Return Gaussian noise at NOISE_DBFS, the same for the same name at every call."""
    generator = np.random.default_rng(list(name.encode("utf-8")))
    return generator.standard_normal(length) * amplitude(NOISE_DBFS)


def finish(speech: Samples, name: str) -> Samples:
    """Pad the speech at both ends, lay noise under all of it and set the peak."""
    padded = np.pad(scale_to_peak(speech, name), round(PAD_SECONDS * RATE))
    return scale_to_peak(padded + noise(name, padded.size), name)


def write_flac(path: Path, samples: Samples) -> None:
    """Write samples as 16-bit FLAC at RATE."""
    pcm = np.round(samples * 32767.0).astype(np.int16)
    soundfile.write(path, pcm, RATE, format="FLAC", subtype="PCM_16")


def build(folder: Path, lists: dict[str, list[Entry]]) -> None:
    """Write the lists and all audio below `folder`."""
    flite = find_flite()
    try:
        for name, entries in lists.items():
            folder.mkdir(parents=True, exist_ok=True)
            text = "".join(entry.line() + "\n" for entry in entries)
            (folder / name).write_text(text, encoding="utf-8")
        for clip in all_clips(lists):
            path = folder / clip.path
            path.parent.mkdir(parents=True, exist_ok=True)
            write_flac(path, finish(speak(flite, clip), clip.name))
    except OSError as error:
        raise RegenerateError(
            f"{error.filename or folder}: cannot be written ({error.strerror}); "
            "check the permissions and the free space"
        ) from error


def compare_list(name: str, fresh: Path, committed: Path) -> str | None:
    """Say how a committed list differs from the fresh one, or return None."""
    if not committed.is_file():
        return f"{name}: missing"
    new = fresh.read_text(encoding="utf-8").splitlines()
    old = committed.read_text(encoding="utf-8").splitlines()
    if new == old:
        return None
    pairs = enumerate(zip(new, old, strict=False), start=1)
    first = next((number for number, (a, b) in pairs if a != b), min(len(new), len(old)) + 1)
    return f"{name}: differs, first in line {first} ({len(old)} lines, {len(new)} expected)"


def compare_audio(name: str, fresh: Path, committed: Path) -> str | None:
    """Say how the samples of a committed file differ from the fresh ones, or return None."""
    if not committed.is_file():
        return f"{name}: missing"
    new, new_rate = soundfile.read(fresh, dtype="int16")
    try:
        old, old_rate = soundfile.read(committed, dtype="int16")
    except soundfile.SoundFileError as error:
        return f"{name}: not readable ({error})"
    if (old_rate, old.shape) != (new_rate, new.shape):
        return f"{name}: {old.shape} samples at {old_rate} Hz, {new.shape} at {new_rate} expected"
    largest = int(np.max(np.abs(new.astype(np.int32) - old.astype(np.int32)), initial=0))
    return f"{name}: samples differ by up to {largest} of 32767" if largest else None


def surplus_audio(clips: Iterable[Clip], folder: Path) -> list[str]:
    """Name the audio files in `folder` that belong to no list."""
    known = {clip.path for clip in clips}
    found = {
        path.relative_to(folder).as_posix()
        for sub in ("prompts", "recordings")
        for path in (folder / sub).glob("*.flac")
    }
    return [f"{name}: in no list; delete it" for name in sorted(found - known)]


def check(folder: Path, lists: dict[str, list[Entry]]) -> list[str]:
    """Rebuild everything elsewhere and return the differences from `folder`."""
    clips = all_clips(lists)
    with tempfile.TemporaryDirectory() as name:
        fresh = Path(name)
        build(fresh, lists)
        found = [compare_list(item, fresh / item, folder / item) for item in lists]
        found += [compare_audio(c.path, fresh / c.path, folder / c.path) for c in clips]
    return [line for line in found if line is not None] + surplus_audio(clips, folder)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description="Regenerate the lists and the audio of the test set mini-en with flite."
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; compare with the files present and exit 1 if any differ",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=HERE,
        metavar="FOLDER",
        help="folder to write to or to check (default: the folder of this script)",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script; return its exit status."""
    options = parse_arguments(arguments)
    try:
        lists = plan()
        count = len(all_clips(lists))
        if not options.check:
            build(options.out, lists)
            print(f"wrote {len(lists)} lists and {count} audio files below {options.out}")
            return 0
        differences = check(options.out, lists)
    except RegenerateError as error:
        print(f"regenerate.py: {error}", file=sys.stderr)
        return 2
    for line in differences:
        print(line)
    print(f"{len(differences)} differences; compared {len(lists)} lists and {count} audio files")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
