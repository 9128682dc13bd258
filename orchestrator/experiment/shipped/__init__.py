"""Experiments that come with taurank, one YAML file each."""
