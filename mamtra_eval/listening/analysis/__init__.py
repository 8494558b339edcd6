"""From sessions that count to scores, differences and their intervals: `analysing`."""
