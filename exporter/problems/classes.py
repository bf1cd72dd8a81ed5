"""All known problems, in the order in which a line is compared: the first that matches is meant. Pure."""

from exporter.problems import endings, machine, services, swarm

# A line of the swarm may end with its cause.
CLASSES = (*endings.ENDINGS, *machine.MACHINE, *services.SERVICES, *swarm.SWARM)
# Most lines of a log hold none of these, and need no pattern.
MARKERS = tuple(dict.fromkeys((*endings.MARKERS, *machine.MARKERS, *services.MARKERS, *swarm.MARKERS)))
