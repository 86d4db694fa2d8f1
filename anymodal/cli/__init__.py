"""The `anymodal` command line: one module a command."""
