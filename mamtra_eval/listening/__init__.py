"""Listening tests: from a run to a blinded bundle, to ratings, to a mean opinion score.

The words of this room:

bundle    the folder that ``listen export`` writes: what raters see (``site/``), what only the
          experimenter may see (``key/``), and what is settled before any rating (``PREREG.md``)
kind      how a trial asks (``kinds``): mos, smos, cmos, ab, mushra
system    what is rated: the run's systems, the hidden reference (recordings), the low anchor
token     what a clip is called in the bundle: random, so that it tells nothing of its system
trial     one question of a list: one token, two (first and second), or several by a reference
role      of a trial: ``rated``; or a check: ``gold`` (the answer is obvious), ``trap`` (the clip
          itself says what to answer), ``repeat`` (asked before), ``null`` (two equal clips)
list      the trials of one session in their order; lists together are the design
session   one person's way through one list; a rater may have several
vote      one rating of one token (of a pair: one of both)

``building/`` draws the lists, prepares the audio and writes the bundle, ``exports/`` its forms for
other programs, ``page/`` is what raters see, ``collect/`` takes their answers, ``ingest/`` reads
them from files, ``screening/`` says which sessions count, and why the others don't, ``analysis/``
what follows; ``simulating`` answers in people's place, for rehearsals.
"""
