"""Fields of queries and bodies: plain ASCII numbers, instants, and choices that name what is allowed; rows of replies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cached_property
from operator import attrgetter
from typing import Any, TypeVar

from django.db.models import Model
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from datasets.bars.instants import parse_instant

# Python's `int` also accepts `1_000`, digits of other scripts, and spaces.
WHOLE_NUMBER = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?([0-9]{1,20}\.?[0-9]{0,20}|\.[0-9]{1,20})([eE][+-]?[0-9]{1,3})?")
_INSTANT_LENGTH = 40
Row = TypeVar("Row", bound=Model)
# Their values in a row are values of JSON, or instants, which the renderer writes.
_PLAIN_FIELDS = (
    serializers.CharField, serializers.ChoiceField, serializers.IntegerField, serializers.FloatField,
    serializers.BooleanField, serializers.DateTimeField, serializers.JSONField,
)  # fmt: skip


class Choice(serializers.ChoiceField):
    """Names the allowed values when it refuses another."""

    def __init__(self, choices: Iterable[str], **options: Any) -> None:
        said = f"{{input!r}} is not allowed; use one of {', '.join(choices)}."
        super().__init__(
            [str(name) for name in choices], error_messages={"invalid_choice": said}, **options
        )


class YesOrNo(serializers.BooleanField):
    """Names the allowed values when it refuses another."""

    default_error_messages = {"invalid": "Write true or false."}


class WholeNumber(serializers.IntegerField):
    """A whole number in the digits 0 to 9."""

    default_error_messages = {
        "invalid": "A valid integer is required, in the digits 0 to 9, such as 5000."
    }

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, str) and not WHOLE_NUMBER.fullmatch(data):
            self.fail("invalid")
        return super().to_internal_value(data)


class Number(serializers.FloatField):
    """A number in the digits 0 to 9."""

    default_error_messages = {
        "invalid": "A valid number is required, in the digits 0 to 9, such as 2.5."
    }

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, str) and not _NUMBER.fullmatch(data):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "maxLength": _INSTANT_LENGTH})
class Instant(serializers.Field[datetime, str, str, Any]):
    """An instant in UTC, from text."""

    default_error_messages = {"invalid": "An instant is text, such as 2025-01-31T14:30:00Z."}

    def to_internal_value(self, data: Any) -> datetime:
        if not isinstance(data, str) or len(data) > _INSTANT_LENGTH:
            self.fail("invalid")
        try:
            return parse_instant(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


class RowSerializer(serializers.ModelSerializer[Row]):
    """Serializer of rows for replies; it reads plain columns directly, in a tenth of the framework's time."""

    @cached_property
    def _readers(self) -> dict[str, Callable[[Row], Any]]:
        """A function for each field, which returns the field's value of a row."""
        return {name: _reader(field) for name, field in self.fields.items()}

    def to_representation(self, instance: Row) -> dict[str, Any]:
        return {name: read(instance) for name, read in self._readers.items()}


def _reader(field: Any) -> Callable[[Any], Any]:
    if isinstance(field, _PLAIN_FIELDS):
        return attrgetter(field.source or "")
    if isinstance(field, serializers.SerializerMethodField):
        method: Callable[[Any], Any] = getattr(field.parent, field.method_name or "")
        return method
    return lambda row: field.to_representation(field.get_attribute(row))
