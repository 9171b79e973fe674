"""LISTEN: the world into raw topics."""
