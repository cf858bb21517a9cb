"""segwatch: a supervisor for Adobe Experience Platform segment and export jobs."""

__version__ = "0.1.0"
