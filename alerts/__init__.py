"""Watches the peers of a fleet and notifies when one has a problem: `python -m alerts --config FILE`.

    loop ── scraping ──► engine (rules) ──► store ── delivery ──► apprise, telegram

`loop` runs the rounds. `scraping` turns the sidecars' pages into numbers. `engine` asks every rule about every peer and
steps each alert's state machine; both are pure. `store` commits the result together with the news that it causes.
`delivery` decides who is notified and when, and retries until a service has accepted; `messages` and `i18n` write the
texts, `evidence` and `charts` what goes with them.

`web` serves the page and the API, `export` the same rules for Prometheus and Alertmanager. `history` keeps the samples,
and `backtest` replays them. `restarts` restarts a trainer where a rule asks for it.
"""
