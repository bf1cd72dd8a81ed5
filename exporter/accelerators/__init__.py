"""What this machine's accelerators do, asked by a process of its own: a card that hangs hangs its library too."""
