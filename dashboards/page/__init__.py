"""The frame of every page: header, model, measurements, result card, report draft."""
