"""Judges what was scraped: which alerts are pending, firing and resolved. Pure."""
