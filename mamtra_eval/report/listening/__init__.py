"""listening.html: the report of a listening test (`page`), apart from those of a run."""
