"""Execution: signals become orders, and orders are written down before they are sent."""
