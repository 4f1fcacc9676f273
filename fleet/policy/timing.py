"""Every interval of failure detection and failover, in one place, each with its reason.

Durations are seconds on a monotonic clock. A lab may shrink all of them together
(`scaled`); a figure that is compared with a target comes from an unscaled run.
"""

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The intervals. Names that end in `_s` are seconds and are scaled; the rest is not."""

    # Detector (phi accrual, logistic form as in Akka).
    #: Agents send each other a signed beat this often.
    beat_s: float = 1.0
    #: Intervals that are remembered: ten minutes of beats.
    window: int = 600
    #: The least deviation that is assumed, so that a perfectly steady link is not trigger-happy.
    least_deviation_s: float = 0.5
    #: Silence that is nobody's fault: a pause of the scheduler, a slow flash write.
    acceptable_pause_s: float = 3.0
    #: Suspect from here on: about 7 s of silence. Loss alone (1 %, in bursts) raised
    #: no suspicion on 6 links in 24 simulated hours.
    suspect_phi: float = 12.0
    #: Alive again below this and after `alive_beats` in a row.
    alive_phi: float = 3.0
    alive_beats: int = 5
    #: A longer gap is an outage, not jitter: it would make the detector deaf to the next one.
    longest_gap_s: float = 10.0

    # The matrix.
    #: A row older than this says nothing: unknown, never "down".
    row_fresh_s: float = 4.0
    #: The public path is tried this often in calm times.
    https_beat_s: float = 5.0
    #: Four tries of it may fail before it counts as dead.
    https_fresh_s: float = 20.0
    #: Wall clocks further apart than this are refused: envelopes carry times.
    longest_clock_skew_s: float = 60.0

    # Verdicts.
    #: Both others must find every path to a site dead for this long on top of the detector's
    #: silence: the break-even of the ski-rental problem for activating compute.
    confirm_s: float = 30.0
    #: However often a site was lost lately: longer than this nobody waits for a verdict.
    longest_confirm_s: float = 120.0
    #: A site whose workers say nothing for this long has none.
    workers_silent_s: float = 90.0
    #: So many canaries in a row tell that workers live and do not work.
    canary_failures: int = 3

    # Damping (the defaults of BGP route flap damping, RFC 2439, in FRR).
    #: For being declared down: two such within the half-life suppress a return.
    penalty_down: float = 1000.0
    #: For a suspicion that was nothing.
    penalty_cleared: float = 250.0
    #: Points halve in this time: a quarter of an hour is forgotten slowly.
    penalty_half_life_s: float = 900.0
    #: From here on a return is held back …
    penalty_suppress: float = 2000.0
    #: … until the points have decayed below this.
    penalty_reuse: float = 750.0
    #: Points do not grow beyond what decays in this time.
    longest_suppression_s: float = 3600.0

    # The activation lease.
    #: As Patroni's: renew + 2 retries of the same length fit into the time to live.
    lease_ttl_s: float = 30.0
    #: The activator asks again this often.
    lease_renew_s: float = 10.0
    #: Clocks of the two ends run apart by at most this share.
    lease_drift: float = 0.01
    #: What the activator saw of its peer may be this old.
    evidence_fresh_s: float = 10.0

    # Recovery.
    #: Its Redis has followed the master for so long, without a break.
    catch_up_steady_s: float = 10.0
    #: Real tasks for each capability, none of which may fail.
    canary_runs: int = 5
    #: A quarter, half, then all of the work, each for so long.
    ramp_step_s: float = 60.0
    #: The standby stays warm for so long after the site has all of the work.
    cool_down_s: float = 120.0

    # What activation may cost before a person is asked.
    #: About 4.31 dollars of a performance-1x machine.
    budget_month_s: float = 100 * 3600.0
    #: A working day: somebody should have looked by then.
    budget_run_s: float = 8 * 3600.0

    def scaled(self, factor: float) -> "Timing":
        """The same intervals, each multiplied by `factor` (0.2: five times as fast)."""
        if not 0 < factor <= 1:
            raise ValueError("a time scale is above 0 and at most 1")
        shrunk = {
            f.name: getattr(self, f.name) * factor for f in fields(self) if f.name.endswith("_s")
        }
        return replace(self, **shrunk)


TIMING = Timing()
