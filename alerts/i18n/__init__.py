"""Every language of the alert loop, and the time zones that people name."""
