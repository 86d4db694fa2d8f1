"""The commands of `anymodal`, one module each: `add_arguments(parser)` and `run(args)`."""
