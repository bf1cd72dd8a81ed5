"""The status page: HTML rendered on the server, usable without scripts, on a phone and in dark mode.

`render` makes it from `rows` (the peers) and `sparkline` (their curves), in fragments that the stream replaces one by
one; `assets` are its style sheet, its script and its icons.
"""
