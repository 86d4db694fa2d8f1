"""Processes that train one model together, and the devices that they run on."""
