"""The TOML file of `nbedex transport`: what is where, and the options."""

from __future__ import annotations

from msgspec import field

from nbedex.settings import Settings
from nbedex.transport.settings import TransportSettings
from nbedex.transport.structure import Electrode


class ElectrodeSettings(Settings, frozen=True, kw_only=True):
    """One [[electrode]] table: a place, and a potential in V or a current in A."""

    where: str
    potential: float | None = None
    current: float | None = None
    name: str = ""

    def electrode(self) -> Electrode:
        """Checked."""
        return Electrode(where=self.where, potential=self.potential, current=self.current, name=self.name)


class TransportRun(Settings, frozen=True, kw_only=True):
    """Everything of a run but the map and the outputs.

    Attributes
    ----------
    electrode
        One table each.
    insulators
        Places.
    transport
        Model and conductivities.
    """

    electrode: tuple[ElectrodeSettings, ...] = ()
    insulators: tuple[str, ...] = ()
    transport: TransportSettings = field(default_factory=TransportSettings)
