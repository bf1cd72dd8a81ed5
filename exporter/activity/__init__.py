"""What the processes of a trainer do, against what they usually do: it tells a hang from a slow hour."""
