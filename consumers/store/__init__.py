"""Store: topics as tables of PostgreSQL, rebuilt from the log whenever that is wanted."""
