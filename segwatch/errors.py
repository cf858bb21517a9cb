"""The root of our own errors. Each room adds the children that its callers must tell apart."""


class SegwatchError(Exception):
    """Something that segwatch expected might go wrong; its text says what to do next."""
