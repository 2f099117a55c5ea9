from django.apps import AppConfig


class DicomstoreConfig(AppConfig):
    name = "dicomstore"
    verbose_name = "DICOM store"
    default_auto_field = "django.db.models.BigAutoField"
