"""Reports: results in, one self-contained page out."""

from interp.report.report import Report

__all__ = ["Report"]
