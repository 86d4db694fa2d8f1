"""Scenes as people would photograph, film, record and feel them, to train encoders on."""
