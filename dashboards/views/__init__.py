"""One page a file, found by `page/navigation.py`; an instrument's lies in its family's folder."""
