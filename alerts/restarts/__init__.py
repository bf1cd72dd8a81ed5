"""Restarts peers for firing alerts of the rules that have `restart: true`: rarely, one at a time, and with an alert.

`policy` decides (pure), `records` stores, `ending` ends one trainer's processes, `restarter` ties them together. The
process manager that started the trainer starts it again.
"""
