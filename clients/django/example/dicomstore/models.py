from django.db import models


class Instance(models.Model):
    """A received file. One row for each path: a file that is written again updates its row.

    The fields of the DICOM header are empty for what is no DICOM file, or without pydicom.
    """

    # For display and as the key; bytes that are no UTF-8 are written as \xNN.
    path = models.TextField(unique=True)
    size = models.BigIntegerField(help_text="bytes")
    completed = models.DateTimeField(db_index=True, help_text="when the file was finished")
    event_id = models.CharField(max_length=32, help_text="the event that told of this version")

    sop_instance_uid = models.CharField(
        "SOP Instance UID", max_length=64, blank=True, db_index=True
    )
    study_instance_uid = models.CharField(
        "Study Instance UID", max_length=64, blank=True, db_index=True
    )
    patient_id = models.CharField("patient ID", max_length=64, blank=True)
    patient_name = models.CharField(max_length=200, blank=True)
    modality = models.CharField(max_length=16, blank=True)

    class Meta:
        ordering = ["-completed"]

    def __str__(self):
        return self.sop_instance_uid or self.path
