"""Pages in Django's admin: forget what the sidecars have stored, and see who did what to them.

For staff with the permission for it (`purge_sidecar`, `view_sidecar`), by POST with Django's CSRF token,
and after a page that shows what is going to be forgotten. The sidecar decides what a target means; what it
refuses is shown. A sidecar that is away is said so on the page, and is no error of it.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET, require_POST

from . import clients
from .client import Client, SidecarError
from .models import Sidecar

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Sidecar]
else:
    _ModelAdmin = admin.ModelAdmin

logger = logging.getLogger("django_tagalong")

# Records on a page.
RECORDS = 50
# Tags that are shown of what is to be forgotten.
SHOWN = 20

# Of a record, in the order of the page.
COLUMNS = ("at", "who", "what", "target", "effect", "status", "sidecar")

TARGETS = (
    ("tags", "Tags, one a line"),
    ("url", "URL, as the sidecar sees it"),
    ("rule", "Rule, by its id"),
    ("group", "Group of the configuration (purge_groups)"),
    ("match", "Pattern of logical keys, such as *lang=de*"),
    ("all", "Everything"),
)


class PurgeForm(forms.Form):
    """What is to be forgotten."""

    target = forms.ChoiceField(choices=TARGETS)
    value = forms.CharField(required=False, max_length=100_000, widget=forms.Textarea(attrs={"rows": 3}))
    soft = forms.BooleanField(
        required=False, help_text="It may be served for a while, until one request has replaced it."
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        target, value = cleaned.get("target"), cleaned.get("value", "")
        if target == "all" and value:
            self.add_error("value", "Everything has no value. Choose what this is, or leave it empty.")
        elif target != "all" and not value:
            self.add_error("value", "Say what is to be forgotten.")
        elif target != "tags" and len(value.splitlines()) > 1:
            self.add_error("value", "One line is expected.")
        return cleaned

    def purge(self, client: Client) -> int | None:
        """Has one sidecar forget it; how many responses, where it counts them."""
        named: dict[str, Any] = {self.cleaned_data["target"]: self._named()}
        return client.purge(**named, soft=self.cleaned_data["soft"])

    def in_words(self) -> str:
        """The same for people."""
        named = self._named()
        if isinstance(named, list):
            more = f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
            named = ", ".join(named[:SHOWN]) + more
        what = "everything" if named is True else f"{self.cleaned_data['target']} {named}"
        return f"{what} (softly)" if self.cleaned_data["soft"] else what

    def _named(self) -> Any:
        target, value = self.cleaned_data["target"], self.cleaned_data["value"]
        if target == "all":
            return True
        if target == "tags":
            return list(dict.fromkeys(line.strip() for line in value.splitlines() if line.strip()))
        return value


@dataclass(frozen=True)
class Record:
    """What was done at one sidecar, or why that is not known."""

    index: int
    url: str
    rows: list[list[str]]
    cursor: str | None = None
    error: str | None = None


@admin.register(Sidecar)
class SidecarAdmin(_ModelAdmin):
    """The pages, under the name that the admin's index links to."""

    def get_urls(self) -> list[URLPattern]:
        return [
            path("", self.admin_site.admin_view(require_GET(self.page)), name=_name("changelist")),
            path("purge/", self.admin_site.admin_view(require_POST(self.purge)), name=_name("purge")),
        ]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _may(request, "purge") or _may(request, "view")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def page(self, request: HttpRequest) -> HttpResponse:
        """The form and what was done."""
        if not self.has_module_permission(request):
            raise PermissionDenied
        return self._page(request, PurgeForm())

    def purge(self, request: HttpRequest) -> HttpResponse:
        """Asks whether it is meant; when it is, has every sidecar forget it."""
        if not _may(request, "purge"):
            raise PermissionDenied
        form = PurgeForm(request.POST)
        if not form.is_valid():
            return self._page(request, form)
        if request.POST.get("confirmed") != "yes":
            return self._render(request, "confirm", "Forget this?", form=form, summary=form.in_words())
        self._purge(request, form)
        return HttpResponseRedirect(reverse(f"{self.admin_site.name}:{_name('changelist')}"))

    def _purge(self, request: HttpRequest, form: PurgeForm) -> None:
        outcomes, what = [], form.in_words()
        told_to = clients.each()
        if not told_to:
            messages.error(request, "Nothing was forgotten: TAGALONG names no sidecar, or is off.")
        for client in told_to:
            try:
                purged = form.purge(client)
            except SidecarError as error:
                outcomes.append(f"{client.url}: {error}")
                messages.error(request, f"Not forgotten at {client.url}: {what}. {error}")
            else:
                count = "" if purged is None else f" ({purged})"
                outcomes.append(f"{client.url}: done{count}")
                messages.success(request, f"Forgotten at {client.url}: {what}{count}.")
        logger.info("user %s: purge of %r: %s", request.user.pk, what, "; ".join(outcomes))
        # The sidecar's audit knows the app alone; who of the staff it was is written down here.
        self.log_change(request, Sidecar(name="-"), f"Purge of {what}: {'; '.join(outcomes)}")

    def _page(self, request: HttpRequest, form: PurgeForm) -> HttpResponse:
        may_purge, may_view = _may(request, "purge"), _may(request, "view")
        return self._render(
            request,
            "page",
            "Tagalong",
            form=form if may_purge else None,
            records=[_record(request, *it) for it in enumerate(clients.each())] if may_view else None,
            has_sidecar=bool(clients.each()),
        )

    def _render(self, request: HttpRequest, template: str, title: str, **more: Any) -> HttpResponse:
        request.current_app = self.admin_site.name
        context = {**self.admin_site.each_context(request), "title": title, "opts": self.opts, **more}
        context["purge_url"] = reverse(f"{self.admin_site.name}:{_name('purge')}")
        return TemplateResponse(request, f"admin/django_tagalong/sidecar/{template}.html", context)


def _name(view: str) -> str:
    return f"{Sidecar._meta.app_label}_{Sidecar._meta.model_name}_{view}"


def _may(request: HttpRequest, what: str) -> bool:
    return request.user.has_perm(f"{Sidecar._meta.app_label}.{what}_sidecar")


def _record(request: HttpRequest, index: int, client: Client) -> Record:
    """What was done at a sidecar, from the cursor on if the request has one of it."""
    cursor = request.GET.get("cursor") if request.GET.get("sidecar") == str(index) else None
    try:
        page = client.audit(RECORDS, cursor)
    except SidecarError as error:
        return Record(index, client.url, [], error=str(error))
    return Record(
        index, client.url, [[_text(it.get(name)) for name in COLUMNS] for it in page.records], page.cursor
    )


def _text(value: object) -> str:
    """A value of the audit in words, a line for each part."""
    if isinstance(value, Mapping):
        return "\n".join(f"{name}: {_text(it)}" for name, it in value.items())
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)
