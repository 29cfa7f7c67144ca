"""``GET /api/settings``: what the page has to know of this server to judge what it shows."""

from citadel_k8s import __version__
from citadel_k8s.api.frame.route import Call, Route, person
from citadel_k8s.domain.life import Policy
from citadel_k8s.models.views import View


class SettingsView(View):
    """How this server judges nodes that name no interval of their own; seconds.

    ``stale_seconds`` without a heartbeat make a node Stale, ``timeout_seconds`` Offline.
    ``live_deadline_seconds`` is what a node is given to answer a live question.
    ``grafana_url`` is where charts go on; ``{node}`` in it stands for a node's id.
    """

    version: str
    interval_seconds: float
    stale_seconds: float
    timeout_seconds: float
    live_deadline_seconds: float
    grafana_url: str | None = None


def settings_route(policy: Policy, grafana_url: str | None, *, live_deadline: float) -> Route:
    """Give the route.

    Parameters
    ----------
    policy : Policy
        How long silence is borne.
    grafana_url : str or None
        As set.
    live_deadline : float
        Seconds, as set.
    """
    view = SettingsView(
        version=__version__,
        interval_seconds=policy.interval,
        stale_seconds=policy.stale_after,
        timeout_seconds=policy.timeout,
        live_deadline_seconds=live_deadline,
        grafana_url=grafana_url,
    )

    async def settings(_call: Call) -> SettingsView:
        return view

    return Route(
        "GET",
        "/api/settings",
        settings,
        "Tell how this server judges nodes.",
        person(),
        "page",
        answers={200: SettingsView},
        name="getSettings",
    )
