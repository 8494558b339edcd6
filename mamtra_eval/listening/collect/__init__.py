"""Collecting ratings: the server of the raters' page (`serving`) over SQLite (`records`)."""
