"""What the alert loop saw, kept for charts, exports and the replay of rules: `history.sqlite` in the state folder.

    loop ── looks ──► recorder (a thread) ── store ──► history.sqlite ──► archive ──► charts, api, backtest

`looks` says what of an evaluation is kept. The `recorder` writes each look at once and, once an hour is over, folds it:
a `block` for each subject with every look, and a `summary` in slots of five minutes. `thinning` makes blocks coarser
where there is no room for all. `store` writes the file and `archive` reads it; `charts` draws points for `api`.
"""
