"""The KRX rulebook as dated data: prices, costs, codes, sessions and the calendar.

Every rule is a function of a date.  The tables are small, stand in the module that uses
them, and name their source and the day from which they hold.
"""
