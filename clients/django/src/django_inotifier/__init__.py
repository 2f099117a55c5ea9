"""Finished files as Django signals: nothing is lost, each is worked on once.

    from django_inotifier.signals import on

    @on("file.completed", watch="incoming", match="*.dcm")
    def store(sender, event, **kwargs):
        Instance.objects.update_or_create(path=event.display_path)
"""

__version__ = "0.10.0"
