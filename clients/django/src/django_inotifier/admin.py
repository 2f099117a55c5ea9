"""The inbox for people: what came, what failed and why, retry and dismiss, how far behind."""

import json

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpResponseRedirect, JsonResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html

from .lag import inbox_counts, lag
from .models import InboxEvent

Status = InboxEvent.Status
AGAIN = (Status.FAILED, Status.DISMISSED)  # what can be retried


def seconds(time):
    """In the site's time zone, to the second."""
    if time is None:
        return "-"
    return f"{timezone.localtime(time) if timezone.is_aware(time) else time:%Y-%m-%d %H:%M:%S}"


def _retry(rows):
    return rows.filter(status__in=AGAIN).update(**InboxEvent.AGAIN)


def _dismiss(rows):
    chosen = rows.filter(status__in=InboxEvent.OUTSTANDING)
    return chosen.update(status=Status.DISMISSED, next_try=None, finished=timezone.now())


@admin.register(InboxEvent)
class InboxEventAdmin(admin.ModelAdmin):
    change_list_template = "admin/django_inotifier/inboxevent/change_list.html"
    change_form_template = "admin/django_inotifier/inboxevent/change_form.html"
    list_display = ("when", "state", "type", "watch", "where", "evidence", "tried")
    list_display_links = ("when", "where")
    list_filter = ("status", "type", "watch", "time")
    search_fields = ("path", "event_id")
    ordering = ("-id",)
    list_per_page = 50
    show_full_result_count = False
    actions = ("retry", "dismiss")
    fieldsets = (
        (None, {"fields": ("type", "watch", "path", "evidence", "when")}),
        ("Work", {"fields": ("state", "tries", "to_be_tried", "done_with", "what_was_raised")}),
        ("Event", {"fields": ("source", "event_id", "position", "received_at", "as_told")}),
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

    @admin.display(ordering="time", description="time")
    def when(self, row):
        return seconds(row.time)

    @admin.display(ordering="path", description="path")
    def where(self, row):
        return row.path or "-"

    @admin.display(ordering="tries", description="tries")
    def tried(self, row):
        return f"{row.tries}, next {seconds(row.next_try)}" if row.next_try else row.tries

    @admin.display(description="next try")
    def to_be_tried(self, row):
        return seconds(row.next_try)

    @admin.display(description="finished")
    def done_with(self, row):
        return seconds(row.finished)

    @admin.display(description="received")
    def received_at(self, row):
        return seconds(row.received)

    @admin.display(description="traceback")
    def what_was_raised(self, row):
        return format_html('<pre class="inotifier-text">{}</pre>', row.traceback or "-")

    @admin.display(description="as told by the daemon")
    def as_told(self, row):
        text = json.dumps(row.data, indent=2, ensure_ascii=False)
        return format_html('<pre class="inotifier-text">{}</pre>', text)

    @admin.action(description="Retry: run the receivers again", permissions=["change"])
    def retry(self, request, queryset):
        self._tell(request, queryset.count(), _retry(queryset), "to be retried")

    @admin.action(description="Dismiss: run no receivers", permissions=["change"])
    def dismiss(self, request, queryset):
        self._tell(request, queryset.count(), _dismiss(queryset), "dismissed")

    def _tell(self, request, selected, changed, what):
        left = f"; {selected - changed} left as they are" if changed < selected else ""
        level = messages.SUCCESS if changed else messages.WARNING
        self.message_user(request, f"{changed} {what}{left}", level)

    def changeform_view(self, request, object_id=None, form_url="", extra_context=None):
        """Nothing is saved; two buttons do what the actions of the list do."""
        row = self.get_object(request, unquote(object_id)) if object_id else None
        may = row is not None and self.has_change_permission(request, row)
        for button, act in (("_retry", self.retry), ("_dismiss", self.dismiss)):
            if request.method == "POST" and button in request.POST:
                if not may:
                    raise PermissionDenied
                act(request, self.get_queryset(request).filter(pk=row.pk))
                return HttpResponseRedirect(request.path)
        context = {
            "inotifier_retry": may and row.status in AGAIN,
            "inotifier_dismiss": may and row.status in InboxEvent.OUTSTANDING,
            **(extra_context or {}),
        }
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
