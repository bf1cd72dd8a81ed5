"""The stages of a round: what each asks of the model, from what other peers published, and how it is rewarded.

In stage 0 (`answers`) each peer answers the swarm's questions. In stage 1 (`judgements`) it reads the others' answers,
says which is best, and answers again. In stage 2 (`consensus`) it reads the judgements, says which answer the swarm
agrees on, and gives the final one. What comes from other peers is untrusted: `published` bounds and cleans it.
"""
