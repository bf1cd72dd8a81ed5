"""The status page: HTML made on the server, readable without scripts, on a phone and in the dark.

`render` makes it from `rows` (what is shown of each peer) and `sparkline` (its curves), in
fragments that a stream can bring anew one by one; `assets` are its style sheet, its script and its icons.
"""
