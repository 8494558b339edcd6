"""Reports: what people read. They read rows only, and load no system and no metric.

A plugin module offers ``write(results) -> Path`` and is one file; it writes into the run folder.
"""
