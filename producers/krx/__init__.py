"""KRX daily data from a folder of Parquet: what was known of every listed name before a session.

``tables`` reads, ``master``, ``bars``, ``books`` and ``indices`` work it out, ``day`` puts it into
``raw.krx`` records, ``service`` sends them.
"""
