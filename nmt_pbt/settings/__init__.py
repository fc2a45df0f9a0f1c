"""Settings of a run: one tree, read from YAML and `--set key=value`, checked before anything is built or written."""
