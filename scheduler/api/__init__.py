"""The scheduler's control interface over HTTP: who may ask, what is answered, what is on record."""
