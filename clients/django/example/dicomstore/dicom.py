"""The header of a DICOM file, with pydicom (Debian: python3-pydicom) where it is installed."""

from .models import Instance

try:
    import pydicom
except ImportError:
    pydicom = None

# Keyword in DICOM's dictionary -> field of Instance.
FIELDS = {
    "SOPInstanceUID": "sop_instance_uid",
    "StudyInstanceUID": "study_instance_uid",
    "PatientID": "patient_id",
    "PatientName": "patient_name",
    "Modality": "modality",
}


def header(path):
    """Values for the fields of Instance; "" for what is not there, or if it is no DICOM file.

    Raises OSError if the file cannot be read, and what pydicom raises for a broken one.
    """
    with open(path, "rb") as file:
        dataset = _read(file)
    return {field: _text(dataset.get(keyword), field) for keyword, field in FIELDS.items()}


def _read(file):
    if pydicom is None:
        return {}
    try:
        return pydicom.dcmread(file, specific_tags=list(FIELDS), stop_before_pixels=True)
    except pydicom.errors.InvalidDicomError:
        return {}


def _text(value, field):
    text = "" if value is None else str(value)
    # PostgreSQL takes no NUL, and padding is not always as the standard has it.
    return text.replace("\0", "").strip()[: Instance._meta.get_field(field).max_length]
