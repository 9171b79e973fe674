"""One KRX day, end to end: every process of the system, supervised, shown and judged."""
