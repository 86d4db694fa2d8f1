"""Data sets: inspected, validated, split and converted."""
