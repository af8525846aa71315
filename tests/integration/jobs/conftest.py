"""Fixtures that tests of jobs share with those of a Redis Cluster."""

from tests.integration.test_redis_cluster import redis_cluster as redis_cluster
