"""Google Cloud: the ground (network, cluster, bucket, identities) and the house that stands on it."""
