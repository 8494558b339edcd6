"""Configurations: unknown keys, wrong types, YAML that explodes, runs code or reads secrets."""

from __future__ import annotations

from collections.abc import Iterator

from cases import EITHER, READ, Case, holding

BASE = "testset: mini-en\nsystems: {a: recorded}\n"
BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
)


def cases() -> Iterator[Case]:
    every = {
        "plain": (BASE, READ),
        "unknown-key": (BASE + "tset: x\n", "no key named|tset"),
        "unknown-inner-key": (BASE + "statistics: {resample: 5}\n", "resample"),
        "list-for-mapping": (BASE + "statistics: [1]\n", "StatisticsConfig"),
        "text-for-number": (BASE + "limit: many\n", "limit"),
        "fraction-for-whole": (BASE + "limit: 1.5\n", "limit"),
        "negative": (BASE + "limit: -1\n", "limit must be at least 1"),
        "huge-number": (BASE + f"limit: {10**400}\n", EITHER),
        "nan": (BASE + "statistics: {level: .nan}\n", "level"),
        "inf": (BASE + "execution: {timeout_s: .inf}\n", "timeout_s"),
        "nan-margin": (BASE + "margins: {wer: .nan}\n", "margins.wer"),
        "boolean-for-text": (BASE + "recipe: true\n", EITHER),
        "null-testset": ("testset: null\nsystems: {a: recorded}\n", "testset"),
        "no-testset": ("systems: {a: recorded}\n", "testset is missing"),
        "no-system": ("testset: mini-en\n", "no system is named"),
        "empty-name": ("testset: x\nsystems: {'': recorded}\n", "no name for a system"),
        "name-with-control": ('testset: x\nsystems: {"a\\u0007": recorded}\n', "no name"),
        "number-as-name": ("testset: x\nsystems: {1: recorded}\n", EITHER),
        "null-target": ("testset: x\nsystems: {a: null}\n", EITHER),
        "target-list": ("testset: x\nsystems: {a: [b]}\n", EITHER),
        "bomb": (BOMB + "\n" + BASE, "not valid YAML|no key named|a0|too"),
        "bomb-in-place": (BOMB.replace("a0:", "systems:\n  a0:", 1), EITHER),
        "deep-lists": ("x: " + "[" * 5000 + "]" * 5000 + "\n" + BASE, "not valid YAML|x"),
        "deep-mappings": ("x: " + "{a: " * 3000 + "1" + "}" * 3000 + "\n" + BASE, "not valid YAML|x"),
        "python-apply": ("testset: !!python/object/apply:os.system [id]\n" + BASE, "not valid YAML"),
        "python-new": ("testset: !!python/object/new:os.system [id]\n", "not valid YAML"),
        "python-name": ("testset: !!python/name:os.system\n", "not valid YAML"),
        "python-module": ("testset: !!python/module:os\n", "not valid YAML"),
        "python-tuple": ("testset: !!python/tuple [1, 2]\n", "not valid YAML"),
        "unknown-tag": ("testset: !x y\n", "not valid YAML"),
        "binary-tag": ("testset: !!binary aGVsbG8=\nsystems: {a: recorded}\n", EITHER),
        "self-reference": ("a: &a [*a]\n" + BASE, "not valid YAML|a"),
        "merge-keys": ("<<: {limit: 3}\n" + BASE, EITHER),
        "duplicate-keys": (BASE + "limit: 1\nlimit: 2\n", "not valid YAML|duplicate"),
        "two-documents": (BASE + "---\n" + BASE, "not valid YAML"),
        "scalar": ("hello\n", "no mapping|no key named"),
        "list": ("- a\n- b\n", "no mapping"),
        "number": ("7\n", "no mapping|not valid YAML"),
        "nothing": ("", "no system|testset is missing|no mapping"),
        "comment": ("# nothing\n", "no system|testset is missing|no mapping"),
        "tab-indent": ("testset: x\nsystems:\n\ta: recorded\n", "not valid YAML"),
        "open-quote": ('testset: "x\n', "not valid YAML"),
        "control-characters": ("testset: a\x01b\n", "not valid YAML"),
        "env": (BASE + "baseline: ${oc.env:HOME}\n", "oc.env|function|interpolation"),
        "env-of-a-model": (BASE + "recipe: ${oc.env:NO_SUCH_MODEL,null}\n", READ),
        "env-beside-a-model": (BASE + "recipe: ${oc.env:A_MODEL,null}${oc.env:HOME}\n", "function"),
        "env-in-a-model": (BASE + "recipe: ${oc.env:${oc.env:A_MODEL,null}}\n", "function"),
        "env-default": (BASE + "baseline: ${oc.env:NO_SUCH,x}\n", "oc.env|function|interpolation"),
        "decode": (BASE + "limit: ${oc.decode:'1'}\n", "oc.decode|function|interpolation"),
        "create": (BASE + "asr: ${oc.create:{a: 1}}\n", "oc.create|function|interpolation|not valid YAML"),
        "unknown-resolver": (BASE + "baseline: ${system:id}\n", "system|function|interpolation"),
        "missing-reference": (BASE + "baseline: ${nothing.there}\n", "nothing.there|nterpolation"),
        "circle": (BASE + "baseline: ${recipe}\nrecipe: ${baseline}\n", "baseline|recipe|nterpolation"),
        "reference": (BASE + "baseline: a\nrecipe: null\n", READ),
        "secret-key": (BASE + "asr: {api_key: sk-1234567890abcdef}\n", EITHER),
        "executor": (BASE + "execution: {executor: kubernetes}\n", "no executor named"),
        "workers-0": (BASE + "execution: {workers: 0}\n", "execution.workers must be at least 1"),
        "tries-0": (BASE + "execution: {tries: 0}\n", "execution.tries must be at least 1"),
        "slurm-text": (BASE + "execution: {slurm: x}\n", "slurm"),
        "mode": (BASE + "mode: quick\n", "no mode named"),
        "resamples": (BASE + "statistics: {resamples: 1000000000000}\n", "resamples must be at most"),
        "long-key": (BASE + f"{'x' * 100_000}: 1\n", "xxx|not valid YAML"),
        "long-text": (BASE + f"recipe: {'x' * 100_000}\n", "recipe"),
    }  # fmt: skip
    for name, (text, expected) in every.items():
        yield Case(name, holding(text.encode("utf-8", "surrogatepass"), "run.yaml"), expected)
    for name, data in {"utf-16": BASE.encode("utf-16"), "latin-1": "testset: café".encode("latin-1"),
                       "random": bytes(range(256)), "nul": b"testset: a\0b\n"}.items():  # fmt: skip
        yield Case(f"bytes-{name}", holding(data, "run.yaml"), EITHER)
