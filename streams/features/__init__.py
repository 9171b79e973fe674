"""Microstructure features of one symbol: one small module each, and the role that windows them.

Every feature is an integer that adds up record by record, so any cut of the stream gives the
same bits; the one float is born when its window closes.
"""
