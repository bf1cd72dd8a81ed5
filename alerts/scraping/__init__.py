"""From bytes to numbers: the pages of sidecars and the machine's own figures."""
