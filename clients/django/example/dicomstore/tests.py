"""The receiver without a daemon: manage.py test"""

import os
import pathlib
import tempfile
import unittest

from django.test import TestCase
from django_inotifier.models import InboxEvent
from django_inotifier.testing import deliver

from . import dicom
from .models import Instance


class Storing(TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = pathlib.Path(directory.name) / "1.2.840"

    def test_each_file_is_one_instance(self):
        self.path.write_bytes(b"no DICOM")
        deliver("file.completed", path=self.path)
        instance = Instance.objects.get()
        self.assertEqual((instance.path, instance.size), (str(self.path), 8))
        self.assertEqual((instance.sop_instance_uid, instance.patient_name), ("", ""))

    def test_written_again_it_is_the_same_instance(self):
        for content in (b"first", b"the second"):
            self.path.write_bytes(content)
            deliver("file.completed", path=self.path)
        self.assertEqual(Instance.objects.get().size, 10)

    def test_an_event_that_comes_again_makes_nothing_new(self):
        self.path.write_bytes(b"once")
        row = deliver("file.completed", path=self.path)
        deliver(row.event)
        self.assertEqual(Instance.objects.count(), 1)
        self.assertEqual(InboxEvent.objects.count(), 1)

    def test_a_file_that_is_gone_makes_none(self):
        with self.assertLogs("dicomstore", "WARNING"):
            deliver("file.completed", path=self.path, size=1)
        self.assertEqual(Instance.objects.count(), 0)

    def test_what_cannot_be_read_fails(self):
        self.path.mkdir()
        with self.assertRaises(IsADirectoryError):
            deliver("file.completed", path=self.path, size=1)
        self.assertEqual(Instance.objects.count(), 0)

    def test_a_name_that_is_no_utf_8(self):
        path = os.fsencode(self.path) + b"\xff"
        pathlib.Path(os.fsdecode(path)).write_bytes(b"x")
        deliver("file.completed", path=path)
        self.assertEqual(Instance.objects.get().path, f"{self.path}\\xff")

    def test_another_watch_is_nobodys(self):
        self.path.write_bytes(b"x")
        deliver("file.completed", path=self.path, watch="reports")
        self.assertEqual(Instance.objects.count(), 0)

    @unittest.skipIf(dicom.pydicom is None, "python3-pydicom is not installed")
    def test_the_header(self):
        dataset = dicom.pydicom.Dataset()
        dataset.SOPInstanceUID = "1.2.3"
        dataset.PatientName = "Doe^Jane"
        dataset.PatientID = "4711\0"
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
        dataset.file_meta = dicom.pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = dicom.pydicom.uid.ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        dataset.file_meta.MediaStorageSOPClassUID = "1.2"
        dataset.save_as(str(self.path), write_like_original=False)
        deliver("file.completed", path=self.path)
        instance = Instance.objects.get()
        self.assertEqual(str(instance), "1.2.3")
        self.assertEqual((instance.patient_name, instance.patient_id), ("Doe^Jane", "4711"))
        self.assertEqual((instance.study_instance_uid, instance.modality), ("", ""))
