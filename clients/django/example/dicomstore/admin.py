import os

from django.contrib import admin
from django.template.defaultfilters import filesizeformat

from .models import Instance


@admin.register(Instance)
class InstanceAdmin(admin.ModelAdmin):
    list_display = ["file", "patient_name", "patient_id", "modality", "bytes", "completed"]
    list_filter = ["modality", "completed"]
    search_fields = ["path", "sop_instance_uid", "study_instance_uid", "patient_id", "patient_name"]
    date_hierarchy = "completed"

    def file(self, instance):
        return os.path.basename(instance.path)

    file.admin_order_field = "path"

    def bytes(self, instance):
        return filesizeformat(instance.size)

    bytes.short_description = "size"
    bytes.admin_order_field = "size"

    # Rows come from files alone.
    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False
