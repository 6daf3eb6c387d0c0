"""The two admission plugins that ask webhooks.

Source: k8s.io/apiserver/pkg/admission/plugin/webhook (dispatchers, errors).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from meshdojo.cluster.client import Object
from meshdojo.kubernetes import errors
from meshdojo.kubernetes.admission.chain import Attributes
from meshdojo.kubernetes.admission.webhooks.calls import Caller, CallError, Verdict
from meshdojo.kubernetes.admission.webhooks.matching import ConditionError, Matcher, Webhook
from meshdojo.kubernetes.conversion import to_version
from meshdojo.kubernetes.patches.operations import apply_operations
from meshdojo.kubernetes.resources import Catalogue
from meshdojo.kubernetes.store import Store

MUTATING = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
VALIDATING = "validatingwebhookconfigurations.admissionregistration.k8s.io"

log = logging.getLogger(__name__)


class _Webhooks:
    def __init__(self, store: Store, catalogue: Catalogue, caller: Caller, storage: str) -> None:
        self._matcher = Matcher(store, catalogue, storage)
        self._caller = caller

    async def _ask(self, webhook: Webhook, attributes: Attributes) -> Verdict | None:
        """Ask a webhook if it is concerned; None when it is not, or failed and may. Raises StatusError."""
        try:
            resource = self._matcher.match(webhook, attributes)
            if resource is None:
                return None
            verdict = await self._caller.ask(webhook, resource, attributes)
        except (CallError, ConditionError) as error:
            if webhook.fails_closed:
                raise errors.internal(f'failed calling webhook "{webhook.name}": {error}') from error
            log.warning("failed calling webhook %s, going on without it: %s", webhook.name, error)
            return None
        attributes.options.warnings.extend(verdict.warnings)
        if not verdict.allowed:
            raise denied(webhook.name, verdict.status)
        return verdict


class MutatingWebhooks(_Webhooks):
    """Asks one webhook after the other; each sees what the ones before it made of the object."""

    def __init__(self, store: Store, catalogue: Catalogue, caller: Caller) -> None:
        super().__init__(store, catalogue, caller, MUTATING)

    async def mutate(self, attributes: Attributes) -> Object | None:
        """The object after all patches. Raises StatusError when a webhook refuses or fails."""
        for webhook in self._matcher.candidates():
            verdict = await self._ask(webhook, attributes)
            if verdict is not None and verdict.patch and attributes.obj is not None:
                attributes = replace(attributes, obj=_patched(webhook, attributes, verdict))
        return attributes.obj

    async def validate(self, attributes: Attributes) -> None:
        """Nothing: these webhooks have had their say."""


class ValidatingWebhooks(_Webhooks):
    """Asks all webhooks at once."""

    def __init__(self, store: Store, catalogue: Catalogue, caller: Caller) -> None:
        super().__init__(store, catalogue, caller, VALIDATING)

    async def mutate(self, attributes: Attributes) -> Object | None:
        """Nothing changes here."""
        return attributes.obj

    async def validate(self, attributes: Attributes) -> None:
        """Raises the StatusError of the first webhook that refuses or fails."""
        candidates = self._matcher.candidates()
        if candidates:
            asked = (self._ask(webhook, attributes) for webhook in candidates)
            for outcome in await asyncio.gather(*asked, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome


def _patched(webhook: Webhook, attributes: Attributes, verdict: Verdict) -> Object:
    assert attributes.obj is not None
    try:
        return to_version(apply_operations(attributes.obj, verdict.patch), attributes.resource)
    except errors.StatusError as error:
        raise errors.internal(f'failed applying the patch of webhook "{webhook.name}": {error}') from error


def denied(name: str, status: Object) -> errors.StatusError:
    """A webhook's refusal. Source: k8s.io/apiserver/pkg/admission/plugin/webhook/errors."""
    code = status.get("code") or 0
    words = status.get("message") or status.get("reason")
    message = f'admission webhook "{name}" denied the request'
    message += f": {words}" if words else " without explanation"
    minimum = errors.BAD_REQUEST
    return errors.StatusError(max(code, minimum), status.get("reason", ""), message, status.get("details"))
