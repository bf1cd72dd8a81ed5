"""The dashboards: each module builds one, `build()`; the JSON of the same name is what it built."""
