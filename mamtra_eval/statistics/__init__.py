"""Statistics: arrays in, numbers out. Imports nothing else of the package."""
