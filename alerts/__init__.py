"""Watches the peers of a fleet and tells when one is in trouble: `python -m alerts --config FILE`.

    loop ── scrape ──► reading ── evaluate ──► rules/ ── state ──► store ──► outbox ── send ──► apprise

`loop` runs the rounds. `scrape` reads the sidecars' pages into a `reading`. `evaluate` asks every rule about every peer
and steps the `state` machine, all pure. `store` writes the result and the deliveries it causes in one transaction;
`outbox` carries them out through `send`, the one door to apprise. `messages` words them. `host` measures the machine.

The `server` brings what `status` describes to people and programs: `api` answers, `page_data` gathers the facts, `page`
renders them, `live` keeps them rendered and `stream` tells what changed; `board` and `curves` read beside the loop what
else the page shows. `login`, `tls` and `csrf` keep strangers out of it, `control` does what its buttons ask.
"""
