"""Serializers of the gap report, for the schema."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from datasets.calendars import Kind


class GapFindingSerializer(serializers.Serializer[Any]):
    """A run of missing bars."""

    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind])
    start = serializers.DateTimeField(help_text="The opening of the first missing bar.")
    end = serializers.DateTimeField(help_text="The end of the last missing bar.")
    n_bars = serializers.IntegerField()
    n_sessions = serializers.IntegerField(help_text="Trading days; 1 for a run within a day.")
    reason = serializers.CharField(help_text="One sentence: how it is known.")


class GapReportSerializer(serializers.Serializer[Any]):
    """Which bars of a dataset are missing, and how that is known."""

    dataset = serializers.IntegerField()
    full_symbol = serializers.CharField()
    expected = serializers.IntegerField(help_text="`held` + `missing`.")
    held = serializers.IntegerField()
    missing = serializers.IntegerField(help_text="Bars in the findings.")
    quiet = serializers.IntegerField(help_text="Intervals without a bar that chance explains.")
    breaks = serializers.IntegerField(
        help_text="Intervals at times of the day that never have a bar."
    )
    outside = serializers.IntegerField(help_text="Bars outside the calendar's hours.")
    share_held = serializers.FloatField(
        allow_null=True, help_text="`held` / `expected`, from 0 to 1."
    )
    why_unknown = serializers.CharField(
        help_text="Why the calendar cannot be read; there is no report then."
    )
    second_opinion = serializers.CharField(
        help_text="The market of the second calendar; empty where there is none."
    )
    counts = serializers.DictField(
        child=serializers.IntegerField(), help_text="Missing bars by kind."
    )
    largest = GapFindingSerializer(allow_null=True)
    n_findings = serializers.IntegerField()
    findings = GapFindingSerializer(many=True, help_text="In order of time; at most 200.")
    looked_at = serializers.DateTimeField(help_text="When the bars were fetched.")


class SeriesGapReportSerializer(GapReportSerializer):
    """Which bars of a series are missing, and how that is known."""

    dataset = None  # type: ignore[assignment]
    series = serializers.IntegerField()
