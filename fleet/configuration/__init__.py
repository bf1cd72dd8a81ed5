"""From the text of `peerwatch.yaml` to the models of every process, with every mistake on the way."""
