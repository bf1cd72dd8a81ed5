"""What reads and exposes: the sidecar with its collectors, the trainer's telemetry, and the leaderboard service.

metrics     every metric of trainer and sidecar: name, type, help, labels
run_folder  the files of a peer's run folder and how they are written
telemetry   the callback that fills trainer.prom from inside any Hugging Face Trainer
pace        how long a peer may be silent, judged by its own step time
snapshot    collects on its own clock and renders the page once per collection
collectors/ one file for each thing that the sidecar reads
server      sends the page: HTTP, gzip, TLS, basic auth
config      the sidecar's arguments
leaderboard/ the swarm's board: its own process
"""
