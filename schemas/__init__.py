"""SAY: the words on the wire, and the exchange's rules."""
