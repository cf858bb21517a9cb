"""The reference page of the settings, written from the models: `python -m segwatch.config.reference`."""

