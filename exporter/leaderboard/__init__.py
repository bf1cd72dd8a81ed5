"""The swarm's board: what every peer earned, kept from the DHT and served over HTTP.

config    the configuration file
records   what of a stranger's record is let in (pure)
dht       the reader process: the only one that talks to the DHT
reader    starts, asks and replaces the reader process
position  where the swarm is, whatever strangers claim (pure)
board     the cumulative board (pure)
store     the board in SQLite
names     how a peer is called
snapshot  the served bytes, rendered once for each poll
poll      the loop: ask, follow, credit, save, render
field     the swarm in a few numbers (pure)
measures  the service's own metrics
api       HTTP

What peers publish is decoded in the reader process alone; only text, numbers and lists of bounded size leave it.
HTTP answers come from the newest snapshot and wait for neither the DHT nor the database.
"""
