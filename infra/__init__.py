"""HOLD: what the rooms need from the machine."""
