"""The log as an operator handles it: sealed exports, imports, and dead letters."""
