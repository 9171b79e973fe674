"""KIS market data to ``raw.kis``, untouched, and the account's notices to ``brokerage.notices``."""
