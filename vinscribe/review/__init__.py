"""The review desk: people settle what the reader doubts. Needs the extra ``[review]``."""
