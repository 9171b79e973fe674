"""Alerts: who is told, by which channel, once."""
