"""A result as one HTML file to look at: the only home of Bokeh."""

from __future__ import annotations

from nbedex.report.page.build import page_html
from nbedex.report.page.content import PageContent
from nbedex.report.page.current import CurrentMaps, read_current

__all__ = ["CurrentMaps", "PageContent", "page_html", "read_current"]
