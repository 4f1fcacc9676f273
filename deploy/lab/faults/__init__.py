"""Faults of a running lab as named operations, each undone by `heal`.

faults = Faults(lab_paths())
cut = faults.cut_link("dc1", "dc2")
faults.heal(cut.id)
"""

from deploy.lab.faults.api import Faults
from deploy.lab.faults.record import Fault, FaultKind

__all__ = ["Fault", "FaultKind", "Faults"]
