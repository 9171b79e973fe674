"""THINK: folds from market data to signals."""
