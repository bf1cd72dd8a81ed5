"""Telegram's Bot API in both directions, for routes with commands."""
