from django.db import models


class Work(models.Model):
    """One run of the receiver that was committed. Not unique: a second one is to be seen."""

    event_id = models.CharField(max_length=100)
    path = models.TextField()
    pid = models.IntegerField()


class Instance(models.Model):
    """What the examples of the documentation store."""

    path = models.TextField(unique=True)
    size = models.BigIntegerField(null=True)
