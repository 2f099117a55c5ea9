"""What the setting INOTIFIER["HANDLERS"] names for the watch "incoming"."""

import logging

from .dicom import header
from .models import Instance

logger = logging.getLogger(__name__)


def store(event):
    """An Instance for the file.

    Runs in one transaction with the mark that the event is done, so a row is never made without
    it. Should it run twice all the same, the second time finds the row of the first.
    """
    try:
        fields = header(event.path)
    except FileNotFoundError:
        logger.warning("%r is gone", event.path)  # nothing is left to store, now or later
        return
    Instance.objects.update_or_create(
        path=event.display_path,
        defaults={
            **fields,
            "size": event.size,
            "completed": event.time,
            "event_id": event.id,
        },
    )
