"""The table of audit entries: one row for each change that a person or a program made."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class AuditEntry(models.Model):
    """A change to the service's state: when, by which user, token or address, and to which object.

    An entry is written in the transaction of its change, so neither exists without the other.
    No entry has a secret. Fetches are not here: their own rows name who requested them.
    """

    class Action(models.TextChoices):
        """The changes that are recorded."""

        CREATED = "created"
        CHANGED = "changed"
        DELETED = "deleted"
        PAUSED = "paused"
        RESUMED = "resumed"
        PINNED = "pinned"
        UNPINNED = "unpinned"
        INVALIDATED = "invalidated"
        VERIFIED = "verified"
        PRUNED = "pruned"
        IMPORTED = "imported"
        ACCEPTED = "accepted", "accepted new values"
        KEPT_OLD = "kept_old", "kept old values"
        CANCELLED = "cancelled"
        ENDED = "ended"

    at = models.DateTimeField(default=timezone.now, help_text="UTC.")
    actor = models.CharField(
        max_length=150, blank=True,
        help_text="A user, a user with a token's name, or a client's address; empty for the operator's commands.",
    )  # fmt: skip
    via = models.CharField(max_length=16, help_text="api, page, admin, command or service.")
    action = models.CharField(max_length=16, choices=Action.choices, help_text="What was done.")
    kind = models.CharField(max_length=32, help_text="The kind of object that was changed.")
    subject = models.CharField(max_length=250, help_text="The object that was changed.")
    subject_id = models.BigIntegerField(
        null=True, help_text="Primary key of the object's row; the row may be gone."
    )
    detail = models.CharField(max_length=500, blank=True, help_text="More about the change.")

    class Meta:
        ordering = ("-at", "-pk")
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_at"),
            models.Index(fields=["action", "-at", "-id"], name="audit_action"),
            models.Index(fields=["kind", "-at", "-id"], name="audit_kind"),
            models.Index(fields=["via", "-at", "-id"], name="audit_via"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor or 'operator'}: {self.action} {self.kind} {self.subject}"

    @classmethod
    def record(
        cls,
        action: Action,
        subject: models.Model | str,
        *,
        by: str,
        via: str,
        kind: str = "",
        detail: str = "",
    ) -> None:
        """Write an entry; the caller does so in the transaction of the change.

        Parameters
        ----------
        action
            The change.
        subject
            The row that was changed, also a deleted one that still has its primary key, or a name.
        by
            The name of the user or the token, or the client's address; empty for a command.
        via
            The way: `api`, `page`, `admin`, `command` or `service`.
        kind
            The kind of object; by default the name of the row's model.
        detail
            One sentence or less. It must contain no secret.
        """
        row = subject if isinstance(subject, models.Model) else None
        cls.objects.create(
            actor=by[:150],
            via=via,
            action=action,
            kind=kind or str(row._meta.verbose_name if row else ""),
            subject=str(subject)[:250],
            subject_id=row.pk if row else None,
            detail=detail[:500],
        )
