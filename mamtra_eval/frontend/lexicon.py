"""Pronunciations of about 120,000 English words, as flite says them.

``pronounce`` looks a word up; the file is read at the first call (about 0.1 s) and kept.

``lexicon.txt.gz`` has one line a word: ``word ph ph ph``, sorted. ``training/mini/lexicon.py``
made it: flite 2.2 said each word of the CMU pronouncing dictionary as pocketsphinx packages it. Of
both the licence is of the BSD style, and this notice goes with copies of the file:

    Flite: Copyright (c) 1999-2016 Language Technologies Institute, Carnegie Mellon University.
    Permission is hereby granted, free of charge, to use and distribute this software and its
    documentation without restriction, including without limitation the rights to use, copy,
    modify, merge, publish, distribute, sublicense, and/or sell copies of this work, and to permit
    persons to whom this work is furnished to do so, subject to the following conditions: 1. The
    code must retain the above copyright notice, this list of conditions and the following
    disclaimer. 2. Any modifications must be clearly marked as such. 3. Original authors' names
    are not deleted. 4. The authors' names are not used to endorse or promote products derived
    from this software without specific prior written permission. Carnegie Mellon University and
    the contributors to this work disclaim all warranties with regard to this software, including
    all implied warranties of merchantability and fitness.

    CMU pronouncing dictionary, in pocketsphinx: Copyright (c) 1999-2016 Carnegie Mellon University.
    All rights reserved. Redistribution and use in source and binary forms, with or without
    modification, are permitted if this notice is retained; it comes as it is, without warranty.

Modification: the pronunciations are flite's, for those of the dictionary.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from pathlib import Path

LEXICON = Path(__file__).with_name("lexicon.txt.gz")


def sha256() -> str:
    """Hexadecimal SHA-256 of the file."""
    return hashlib.sha256(LEXICON.read_bytes()).hexdigest()


def pronounce(word: str) -> list[str] | None:
    """The phones of a lower-case word; None for one that isn't there."""
    phones = _entries().get(word)
    return None if phones is None else phones.split(" ")


@cache
def _entries() -> dict[str, str]:
    """Words and their phones, still one string: most are never asked for."""
    lines = gzip.decompress(LEXICON.read_bytes()).decode("ascii").splitlines()
    return {word: phones for word, _, phones in (line.partition(" ") for line in lines)}
