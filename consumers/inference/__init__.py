"""Models at work: a snapshot of the universe in, one ``scores.ai`` record out, always."""
