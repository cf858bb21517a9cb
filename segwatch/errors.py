"""The root of our own errors. Each room adds the children that its callers must tell apart."""


class SegwatchError(Exception):
    """Something that segwatch expected might go wrong; its text says what to do next."""


class BadValue(ValueError):
    """A value that a setting cannot have.

    Its text goes on behind the setting and the value, neither of which it repeats: `, which has no unit. Write "15s".`
    Of a whole table it goes on behind the table's name: ` has no url. Write url = ...`
    """
