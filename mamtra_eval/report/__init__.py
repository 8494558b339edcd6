"""Reports: what people read. They read rows only, and load no system and no metric.

A plugin module offers ``write(results, folder) -> Path`` and is one file.
"""
