"""All checks, and what they say about a plan."""

from __future__ import annotations

from collections.abc import Callable

from infra.checks import cloud, data, disks, kinds, names, pods, policies, probes, redis, references, rights
from infra.checks.plan import Plan

Check = Callable[[Plan], list[str]]

ALWAYS: tuple[Check, ...] = (
    kinds.kinds_are_known,
    kinds.the_house_is_whole,
    pods.images_stay,
    pods.containers_are_bounded,
    pods.containers_have_no_rights,
    pods.pods_are_apart,
    pods.pods_are_plain,
    pods.workers_may_finish,
    pods.one_writer_a_folder,
    pods.gpus_are_reached,
    probes.containers_are_asked,
    probes.probes_reach_the_program,
    probes.probes_are_patient,
    references.selectors_fit,
    references.services_reach_somebody,
    references.the_server_is_watched,
    references.budgets_pick_somebody,
    references.references_exist,
    names.all_is_in_one_namespace,
    names.pods_name_what_is_there,
    names.pods_have_their_account,
    names.addresses_are_services,
    names.pods_share_the_work,
    names.variables_are_filled_in,
    policies.the_namespace_is_restricted,
    policies.nobody_is_heard_by_default,
    policies.policies_are_the_table,
    policies.the_silent_are_silent,
    disks.volumes_fit,
    disks.programs_can_write,
    disks.data_outlives_pods,
    disks.disks_are_apart,
    redis.redis_keeps,
    redis.one_redis,
    redis.redis_may_read_its_file,
    data.texts_are_texts,
    data.no_secret_in_clear,
    data.files_are_literal,
    rights.rights_are_the_table,
    rights.pods_are_the_account,
    cloud.buckets_are_closed,
    cloud.nobody_is_everybody,
    cloud.nodes_are_ours,
    cloud.gpus_may_be_none,
    cloud.the_cluster_is_closed,
    cloud.services_come_first,
)
# Only where settings say that it is for keeps (`protect`).
FOR_KEEPS: tuple[Check, ...] = (disks.disks_are_protected, cloud.data_is_kept, cloud.state_is_kept)


def wrongs(plan: Plan, *, for_keeps: bool) -> list[str]:
    """Everything that is wrong with a plan, as sentences; [] when nothing is."""
    return [sentence for check in ALWAYS + (FOR_KEEPS if for_keeps else ()) for sentence in check(plan)]
