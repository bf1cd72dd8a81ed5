"""Prometheus metrics of a peer: the sidecar with its collectors, the trainer's telemetry, and the leaderboard service.

metrics     every metric of trainer and sidecar: name, type, help, labels
run_folder  the files of a peer's run folder and how they are written
telemetry   the callback that writes trainer.prom from inside any Hugging Face Trainer
textfile_reader  reads trainer.prom, once per collection
pace        the stall threshold of a peer, from its own step times
accelerators/ what the cards do, asked by a process of its own
snapshot    runs the collectors at an interval and renders the page once per collection
collectors/ one file for each source that the sidecar reads
http_request, answers  what a request asks, and what the sidecar answers: gzip, basic auth, Host names
server      serves the answers to all connections from one thread
serving/    what all HTTP servers share: bounds of connections, Host names
config      the sidecar's arguments
yaml_text, file_model, listen_address, plain_output
            what the configuration and the output of every process have in common
leaderboard/ the swarm's board, a service of its own
identity/   who a peer is: its id, from the key file, and its name
sources/    one file for each service that tells rank or reward of peers
problems/   the problems that a trainer's log tells, and the exception that ended it
chain/      the ABI, JSON-RPC and contract calls that the source of that name needs
"""
