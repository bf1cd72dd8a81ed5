"""Telegram's Bot API for routes with commands: messages out, commands in."""
