"""The admin pages of users and groups: those of Django, whose changes the audit records."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User

from datasets.admin.recorded_admin import RecordedAdmin

admin.site.unregister([User, Group])


@admin.register(User)
class RecordedUserAdmin(RecordedAdmin, UserAdmin):  # type: ignore[type-arg]
    """Django's pages of users."""


@admin.register(Group)
class RecordedGroupAdmin(RecordedAdmin, GroupAdmin):
    """Django's pages of groups."""
