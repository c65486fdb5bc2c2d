"""Build: a source of media to an index bundle, incrementally."""

from retrieval.build.build import build_index, check_output
from retrieval.build.folders import open_source
from retrieval.build.leave_out import LeaveOut
from retrieval.build.report import BuildReport, as_html, as_json, as_text, check_report

__all__ = [
    "BuildReport",
    "LeaveOut",
    "as_html",
    "as_json",
    "as_text",
    "build_index",
    "check_output",
    "check_report",
    "open_source",
]
