"""Scraping, rules, state, delivery and the status page."""
