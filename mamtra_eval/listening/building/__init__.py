"""Building a bundle from a run: sentences, lists, audio, words; `exporting` writes it."""
