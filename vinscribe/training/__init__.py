"""Trains the character classifier: needs the extra ``[train]``; nothing outside this package imports it."""
