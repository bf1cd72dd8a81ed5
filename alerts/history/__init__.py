"""The history of all evaluations, for charts, exports and backtests: `history.sqlite` in the state folder.

    loop ── samples ──► recorder (a thread) ── store ──► history.sqlite ──► archive ──► query, api, backtest

`samples` defines what is kept of an evaluation. The `recorder` writes each sample at once and folds each hour when it
is over: a `block` for each subject with every sample, and a `summary` in slots of five minutes. `thinning` makes blocks
coarser when space runs out. `store` writes the file, `archive` reads it, and `query` makes points of it for `api`.
"""
