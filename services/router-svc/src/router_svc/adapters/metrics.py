"""Every metric of the router, with its meaning and unit; those of inferences are in `tallies.py`."""

from prometheus_client import Counter, Gauge, Histogram

IN_FLIGHT = Gauge("loopwright_router_in_flight_requests", "Requests being answered now")
OVERLOADED = Counter("loopwright_router_overloaded_total", "Requests refused because too many were in flight")
UPSTREAM_FAILURES = Counter(
    "loopwright_router_upstream_failures_total",
    "Requests that a backend did not answer, by reason",
    ["backend", "reason"],
)
RATINGS = Counter(
    "loopwright_router_ratings_total", "Ratings by outcome: accepted, or refused for want of disk", ["outcome"]
)
EVENTS_SHED = Counter(
    "loopwright_router_events_shed_total", "Events dropped because the spool was full or the disk failed", ["topic"]
)
EVENTS_TRIMMED = Counter(
    "loopwright_router_events_trimmed_total", "Events that left without their conversation because it was too large"
)
EVENTS_PUBLISHED = Counter(
    "loopwright_router_events_published_total", "Spooled events acknowledged by Kafka", ["topic"]
)
EVENTS_REFUSED = Counter(
    "loopwright_router_events_refused_total", "Spooled events that Kafka will never take; kept in the folder `refused`"
)
SPOOL_BYTES = Gauge("loopwright_router_spool_bytes", "Bytes of spool segments on disk")
SPOOL_PENDING = Gauge("loopwright_router_spool_pending_events", "Spooled events that Kafka has not acknowledged")
SPOOL_DAMAGED = Counter(
    "loopwright_router_spool_damaged_total", "Spooled records that could not be read: torn by a crash, or rotten"
)
SNAPSHOT_RECORDS = Counter(
    "loopwright_router_snapshot_records_total",
    "Records read into the snapshot, by outcome: applied, stale, dead-letter",
    ["topic", "outcome"],
)
GUARD_REFUSALS = Counter(
    "loopwright_router_guard_refusals_total", "Requests that keys, tokens or limits did not let in, by reason", ["code"]
)
RETRIEVALS = Counter(
    "loopwright_router_retrievals_total",
    "Searches for similar cases by outcome: found, nothing, or why the model was asked without them",
    ["collection", "outcome"],
)
RETRIEVAL_SECONDS = Histogram(
    "loopwright_router_retrieval_seconds",
    "Seconds that similar cases took to find",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
CONTENT_WITHHELD = Counter(
    "loopwright_router_content_withheld_total", "Conversations left out of events because they could not be sealed"
)
SHADOWS = Counter(
    "loopwright_router_shadows_total",
    "Requests of a shadow's share by outcome: copied, dropped for want of room, or failed before it was asked",
    ["outcome"],
)
