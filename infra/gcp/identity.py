"""Who may do what. Two accounts: the nodes', and the workload's, which pods of one service account act as."""

from __future__ import annotations

from collections.abc import Sequence

from cdktn import ITerraformDependable
from cdktn_provider_google.project_iam_member import ProjectIamMember
from cdktn_provider_google.service_account import ServiceAccount
from constructs import Construct

from infra.gcp.settings import Gcp

# Google's least for a node: logs, metrics, and nothing of the project's data (GKE: "Configure node service accounts").
NODE_ROLE = "roles/container.defaultNodeServiceAccount"


class Identity(Construct):
    """`nodes` is a reference to the account's address; `..._member` to what grants name. `after`: what must be there first."""

    def __init__(self, scope: Construct, settings: Gcp, after: Sequence[ITerraformDependable]) -> None:
        super().__init__(scope, "identity")
        nodes = ServiceAccount(
            self,
            "nodes",
            account_id=f"{settings.name}-nodes",
            display_name="vidprocme: nodes of the cluster",
            depends_on=after,
        )
        app = ServiceAccount(
            self,
            "app",
            account_id=f"{settings.name}-app",
            display_name="vidprocme: server and workers",
            depends_on=after,
        )
        # The only role on the project as a whole. What the workload may do is granted where the thing itself is made.
        ProjectIamMember(self, "nodes-role", project=settings.project, role=NODE_ROLE, member=nodes.member)
        self.nodes, self.nodes_member = nodes.email, nodes.member
        self.app_member = app.member
