"""A model without a table and without rows: it gives Django's admin its page, and staff their permissions.

There is nothing to migrate. Django makes the permissions with every `migrate`.
"""

from django.db import models


class _NoRows(models.Manager["Sidecar"]):
    """Finds nothing, and asks no database: `dumpdata` goes through all models."""

    def get_queryset(self) -> "models.QuerySet[Sidecar]":
        return super().get_queryset().none()


class Sidecar(models.Model):
    """What the pages of `admin` are about."""

    name = models.CharField(max_length=1, primary_key=True)

    objects = _NoRows()

    class Meta:
        managed = False
        base_manager_name = "objects"
        default_permissions = ()
        permissions = (
            ("purge_sidecar", "Can purge what the sidecar has stored"),
            ("view_sidecar", "Can see what was done to the sidecar"),
        )

    def __str__(self) -> str:
        return "Tagalong"
