"""Where the work runs. Whichever executor is used, the rows are the same."""
