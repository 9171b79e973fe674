"""Portfolio: the ledger of the account and its daily result, to the won."""
