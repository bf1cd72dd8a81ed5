"""What all HTTP servers of Peerwatch share: whose connection gives way to a new one, which Host names are their own.

`give_way`, `host_names` and `open_files` need the standard library only; the sidecar uses them. `asgi` and
`host_guard` are for the servers under uvicorn: the alert loop and the leaderboard.
"""
