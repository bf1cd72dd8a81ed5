"""Machines elsewhere that this alert loop watches: their peers, their clocks, and who of them answers."""
