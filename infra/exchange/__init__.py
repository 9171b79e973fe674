"""The simulated brokerage: KIS bytes in front, a KRX matching engine and market time behind."""
