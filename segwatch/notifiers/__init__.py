"""One file per channel: how a delivery reaches its receiver. A new file here is a new kind of channel."""
