"""A stand-in for Adobe Experience Platform on loopback: a real server with faults to inject.

It shares no code with the client, so that the two cannot share one misreading of the API.
"""
