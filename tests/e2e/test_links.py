"""Every link of the documentation to a file of the project, or to a heading of it, leads there."""

import re

import pytest

from documentation import PROJECT, pages

LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")


def anchors(path):
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", pages())
def test_links_lead_somewhere(page):
    path = PROJECT / page
    for name, anchor in LINK.findall(re.sub(r"```.*?```", "", path.read_text(), flags=re.S)):
        target = (path.parent / name) if name else path
        assert target.exists(), f"{page}: there is no {name}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page}: {name} has no heading #{anchor}"
