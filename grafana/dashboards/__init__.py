"""The dashboards: each module's `build()` makes one; the JSON of the same name is its output."""
