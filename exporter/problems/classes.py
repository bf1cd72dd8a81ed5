"""All known problems, in the order in which a line is compared: the first that matches is meant. Pure."""

from exporter.problems import endings, machine, ranks, services, swarm

# What names a cause comes first: lines of the swarm, of launchers and of other ranks may end with it.
CLASSES = (*endings.ENDINGS, *machine.MACHINE, *services.SERVICES, *swarm.SWARM, *ranks.RANKS)
# Most lines of a log hold none of these, and need no pattern.
MARKERS = tuple(dict.fromkeys((*endings.MARKERS, *machine.MARKERS, *services.MARKERS, *swarm.MARKERS, *ranks.MARKERS)))
