"""The inbox for people: what came, what failed and why, retry and dismiss, how far behind."""

import json

from django.contrib import admin, messages
from django.http import JsonResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html

from .lag import inbox_counts, lag
from .models import InboxEvent

Status = InboxEvent.Status


@admin.register(InboxEvent)
class InboxEventAdmin(admin.ModelAdmin):
    change_list_template = "admin/django_inotifier/inboxevent/change_list.html"
    list_display = ("time", "state", "type", "watch", "path", "evidence", "tries", "next_try")
    list_display_links = ("time", "path")
    list_filter = ("status", "type", "watch", "time")
    search_fields = ("path", "event_id")
    ordering = ("-id",)
    list_per_page = 50
    show_full_result_count = False
    actions = ("retry", "dismiss")
    fieldsets = (
        (None, {"fields": ("type", "watch", "path", "evidence", "time")}),
        ("Work", {"fields": ("state", "tries", "next_try", "finished", "what_was_raised")}),
        ("Event", {"fields": ("source", "event_id", "position", "received", "as_told")}),
    )
    readonly_fields = tuple(
        field for _, options in fieldsets for field in options["fields"]
    )  # fmt: skip

    def has_add_permission(self, request):
        return False

    def has_delete_permission(self, request, obj=None):
        # A row that is gone is not recognised when it comes again; inotifier_prune takes old ones.
        return False

    @admin.display(ordering="status", description="status")
    def state(self, row):
        return format_html('<span class="inotifier-{}">{}</span>', row.status, row.status)

    @admin.display(description="traceback")
    def what_was_raised(self, row):
        return format_html('<pre class="inotifier-text">{}</pre>', row.traceback or "-")

    @admin.display(description="as told by the daemon")
    def as_told(self, row):
        text = json.dumps(row.data, indent=2, ensure_ascii=False)
        return format_html('<pre class="inotifier-text">{}</pre>', text)

    @admin.action(description="Retry: run the receivers again", permissions=["change"])
    def retry(self, request, queryset):
        chosen = queryset.filter(status__in=[Status.FAILED, Status.DISMISSED])
        self._tell(request, queryset.count(), chosen.update(**InboxEvent.AGAIN), "to be retried")

    @admin.action(description="Dismiss: run no receivers", permissions=["change"])
    def dismiss(self, request, queryset):
        chosen = queryset.filter(status__in=InboxEvent.OUTSTANDING)
        count = chosen.update(status=Status.DISMISSED, next_try=None, finished=timezone.now())
        self._tell(request, queryset.count(), count, "dismissed")

    def _tell(self, request, selected, changed, what):
        left = f"; {selected - changed} left as they are" if changed < selected else ""
        level = messages.SUCCESS if changed else messages.WARNING
        self.message_user(request, f"{changed} {what}{left}", level)

    def changeform_view(self, request, object_id=None, form_url="", extra_context=None):
        # There is nothing to be saved.
        buttons = ("show_save", "show_save_and_continue", "show_save_and_add_another")
        context = {**dict.fromkeys(buttons, False), **(extra_context or {})}
        return super().changeform_view(request, object_id, form_url, context)

    def get_urls(self):
        view = self.admin_site.admin_view(self.lag_view)
        return [path("lag/", view, name="django_inotifier_inboxevent_lag"), *super().get_urls()]

    def lag_view(self, request):
        """Asked by the page when it is there already: a daemon that is down holds nobody up."""
        if not self.has_view_permission(request):
            return JsonResponse({"error": "not allowed"}, status=403)
        return JsonResponse(lag())

    def changelist_view(self, request, extra_context=None):
        name = f"{self.admin_site.name}:django_inotifier_inboxevent_lag"
        context = {
            "inotifier_lag_url": reverse(name),
            "inotifier_counts": inbox_counts(),
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    class Media:
        css = {"all": ("django_inotifier/inbox.css",)}
        js = ("django_inotifier/lag.js",)
