"""DART filings from a folder of OpenDART answers.

``pages`` reads ``dart/list_*/`` and works out when each page was known; ``service`` sends them.
"""
