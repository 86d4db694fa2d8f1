"""Renderers of a scene as an image, a video, an audio or an IMU recording."""
