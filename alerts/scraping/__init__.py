"""From bytes to numbers: the pages of sidecars and the metrics of the host."""
