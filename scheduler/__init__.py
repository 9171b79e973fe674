"""REMIND: time and dependencies into control events."""
