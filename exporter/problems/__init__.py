"""The problems that a trainer's log tells: how their lines are spelt, what they mean, what to do, and what ended it.

problem_class  what is known of one kind of problem, and how its patterns are made
endings, machine, services, swarm, ranks  the kinds themselves, by what they are about
classes     all of them, in the order in which a line is compared
tally       counts them in a log, and finds why a trainer ended
tracebacks  the exception that ended a program
"""
