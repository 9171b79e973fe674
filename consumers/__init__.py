"""ACT: inference, orders, ledger, learning, store."""
