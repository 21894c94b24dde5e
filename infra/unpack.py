"""Loads every package of the bindings once, so that jsii unpacks it (`make infra-setup`; half a minute, 0.6 GB in the cache).

Their Python halves load the other halves late, at the first resource of a package.
"""

from __future__ import annotations

from tempfile import TemporaryDirectory


def main() -> None:
    from cdktn import App, TerraformStack
    from cdktn_provider_google.provider import GoogleProvider
    from cdktn_provider_kubernetes.provider import KubernetesProvider
    from cdktn_provider_random.provider import RandomProvider

    # It is never synthesized; but an App makes its folder at once, by default where one happens to stand.
    with TemporaryDirectory() as folder:
        stack = TerraformStack(App(outdir=folder), "first")
        GoogleProvider(stack, "google")
        KubernetesProvider(stack, "kubernetes")
        RandomProvider(stack, "random")


if __name__ == "__main__":
    main()
