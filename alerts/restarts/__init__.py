"""Restarts a peer that a rule says a restart helps, where its user asked for it: rarely, one at a time, and told.

`policy` decides (pure), `records` remembers, `ending` ends one trainer's processes, `restarter` puts them to work. The
process manager that started the trainer starts it again.
"""
