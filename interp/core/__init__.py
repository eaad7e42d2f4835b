"""The ground floor: names, edits, errors, files, statistics; it knows no model."""
