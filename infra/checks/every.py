"""All checks, and what they say about a plan."""

from __future__ import annotations

from collections.abc import Callable

from infra.checks import cloud, data, pods, policies, references
from infra.checks.plan import Plan

Check = Callable[[Plan], list[str]]

ALWAYS: tuple[Check, ...] = (
    pods.every_pod_is_seen,
    pods.images_stay,
    pods.containers_are_bounded,
    pods.containers_are_asked,
    pods.nothing_is_killed_for_what_it_waits_for,
    pods.containers_have_no_rights,
    pods.pods_are_apart,
    pods.workers_may_finish,
    pods.one_server,
    references.selectors_fit,
    references.services_reach_somebody,
    references.the_server_is_watched_when_it_is_not_ready,
    references.budgets_pick_somebody,
    policies.nobody_is_heard_by_default,
    policies.policies_pick_somebody,
    policies.redis_hears_only_its_clients,
    references.volumes_fit,
    policies.the_namespace_is_restricted,
    references.references_exist,
    data.texts_are_texts,
    data.redis_keeps,
    data.no_secret_in_clear,
    cloud.buckets_are_closed,
    cloud.nobody_is_everybody,
    cloud.rights_are_least,
    cloud.nodes_are_ours,
    cloud.gpus_may_be_none,
    cloud.the_cluster_is_closed,
    cloud.services_come_first,
    data.files_are_literal,
)
# Only where settings say that it is for keeps (`protect`).
FOR_KEEPS: tuple[Check, ...] = (data.disks_are_protected, cloud.data_is_kept, cloud.state_is_kept)


def wrongs(plan: Plan, *, for_keeps: bool) -> list[str]:
    """Everything that is wrong with a plan, as sentences; [] when nothing is."""
    return [sentence for check in ALWAYS + (FOR_KEEPS if for_keeps else ()) for sentence in check(plan)]
