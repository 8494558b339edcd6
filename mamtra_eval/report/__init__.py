"""Reports: what people read. They read rows only, and load no system and no metric.

A plugin module offers ``write(results) -> Path | None`` and is one file; it writes into the run
folder, or nothing (``None``) where the run gives nothing to show.
"""
