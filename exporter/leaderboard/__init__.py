"""The swarm's board: what every peer earned, read from the DHT and served over HTTP.

config    the configuration file
records   checks of records from the DHT (pure)
dht       the reader process: the only one that joins the DHT
reader    starts, queries and restarts the reader process
position  the swarm's round and stage, despite false claims (pure)
board     the cumulative board (pure)
store     the board in SQLite
names     display names of peers
last_values  when a source is read again, and what stays after a failure
snapshot  the served bytes, rendered once for each poll
poll      the loop: query, follow, credit, save, render
field     the swarm in a few numbers (pure)
standings what other sources say of our own peers, and since when
changes   when their numbers last changed
measures  the service's own metrics
api       HTTP, of the board; standings_api: of the sources

What peers publish is decoded in the reader process alone; only text, numbers and lists of bounded size leave it.
HTTP answers come from the newest snapshot and wait for neither the DHT nor the database.
"""
