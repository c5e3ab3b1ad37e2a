"""News of alerts goes to webhooks outside any transaction; a crash in between tells it twice, under the same alert id."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from feedback_svc.adapters.webhooks import Webhook, post_alert
from feedback_svc.domain.alerts import next_attempt_at
from feedback_svc.store.alerts import mark_delivered, mark_failed, queue_deliveries, take_due
from loopwright.repeating import repeat
from loopwright.unit_of_work import PostgresWork

_log = structlog.get_logger()
_OLDEST = timedelta(days=1)  # a new webhook is not told of what was before


class AlertPost:
    """Tells webhooks of alerts, and tries again with growing delays; any number of replicas may do so at once."""

    def __init__(self, work: PostgresWork, webhooks: Sequence[Webhook], *, every_s: float) -> None:
        self._work = work
        self._webhooks = {webhook.url: webhook for webhook in webhooks}
        self._every_s = every_s

    async def run(self) -> None:
        await repeat(self.deliver_next, name="alerts", idle_s=self._every_s)

    async def deliver_next(self) -> bool:
        """Tries one delivery; False if none is due."""
        now = datetime.now(UTC)
        async with self._work() as unit:
            for webhook in self._webhooks.values():
                await queue_deliveries(unit.session, webhook.url, tasks=webhook.tasks, since=now - _OLDEST, now=now)
            due = await take_due(unit.session, self._webhooks, now=now)
        if due is None:
            return False
        error = await post_alert(
            self._webhooks[due.url], due.alert, occurrences=due.occurrences, timestamp=int(now.timestamp())
        )
        async with self._work() as unit:
            if error is None:
                await mark_delivered(unit.session, due, now=datetime.now(UTC))
            else:
                next_at = next_attempt_at(due.attempts + 1, now=datetime.now(UTC))
                await mark_failed(unit.session, due, error=error, next_at=next_at)
                _log.warning("alert.not-delivered", alert_id=due.alert.alert_id, reason=error, gave_up=next_at is None)
        return True
