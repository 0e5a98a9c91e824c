"""Is this machine ready for the course? `diagnose` looks, and says what to do about each finding.

What lies where: `machine` asks about Python, packages and hardware, `files` about artwork and
weights, `speed` measures, `report` draws the table for a terminal or a notebook.
"""

from hybridlab.doctor.examine import diagnose, worst
from hybridlab.doctor.finding import Finding
from hybridlab.doctor.report import as_html, as_text, show

__all__ = ["Finding", "as_html", "as_text", "diagnose", "show", "worst"]
