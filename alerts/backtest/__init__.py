"""Recorded history judged again by the rules as they are now."""
