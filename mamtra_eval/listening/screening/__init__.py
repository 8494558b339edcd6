"""Which sessions count, and a reason for every other: `rules`, and `applying` them."""
