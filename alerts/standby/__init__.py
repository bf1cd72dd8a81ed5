"""Two watchers of one fleet: the second one evaluates everything, and notifies only while the first one is gone."""
