"""Errors of settings by the names that they have in a request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from anymodal.config.ranges import SettingError
from anymodal.serving.api.errors import ApiError
from anymodal.serving.api.schemas import Body, MediaBody

SAMPLING = "sampling"


@contextmanager
def told_by_fields(body: Body) -> Iterator[None]:
    """Tell an error of a setting by the field of a body that gives it.

    Raises:
        ApiError: in the place of a `SettingError`.
    """
    try:
        yield
    except SettingError as error:
        raise _field_error(error, body) from error


def _field_error(error: SettingError, body: Body) -> ApiError:
    if not error.place:  # of the text, or of the whole reply
        field = body.field_of(error.name)
        return ApiError(400, f"{field or error.name}{error.problem}", param=field)
    if field := _field_of_media(error, body):
        return ApiError(400, f"{error.name}{error.problem}", param=field)
    return ApiError(400, str(error), param=SAMPLING if getattr(body, SAMPLING, None) else None)


def _field_of_media(error: SettingError, body: Body) -> str | None:
    """The field of all media's settings that an error is about; None for one of `sampling`."""
    if not isinstance(body, MediaBody):
        return None
    above = {name for settings in (body.sampling or {}).values() for name in settings}
    fields = [name for name in body.media_settings() if name not in above]
    if error.name:
        return error.name if error.name in fields else None
    return next((name for name in fields if name in error.problem), None)
