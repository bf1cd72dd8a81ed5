"""All known problems, in the order in which a line is compared: the first that matches is meant. Pure."""

from exporter.problems import endings, machine, ranks, services, swarm
from exporter.problems.problem_class import Class

# What names a cause comes first: lines of the swarm, of launchers and of other ranks may end with it.
# Most lines hold no marker of a group, and need none of its patterns.
_GROUPS = (
    (endings.MARKERS, endings.ENDINGS),
    (machine.MARKERS, machine.MACHINE),
    (services.MARKERS, services.SERVICES),
    (swarm.MARKERS, swarm.SWARM),
    (ranks.MARKERS, ranks.RANKS),
)
CLASSES = tuple(one for _, classes in _GROUPS for one in classes)
MARKERS = tuple(dict.fromkeys(marker for markers, _ in _GROUPS for marker in markers))


def find_class(line: str) -> Class | None:
    """The problem that a line tells."""
    return next(
        (
            one
            for markers, classes in _GROUPS
            if any(marker in line for marker in markers)
            for one in classes
            if one.pattern.search(line)
        ),
        None,
    )
