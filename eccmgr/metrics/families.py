"""Families of samples, as every daemon makes them."""

from collections.abc import Iterator, Mapping
from typing import Any

import psutil
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from eccmgr.tally import Histogram


class Families:
    """Makes families whose samples all have the labels `always`. The keys of `values` are the values of `labels`."""

    def __init__(self, **always: str) -> None:
        self._names, self._values = list(always), list(always.values())

    def gauge(self, name: str, about: str, values: Mapping[Any, float], *labels: str) -> Metric:
        """Values that rise and fall."""
        family = GaugeMetricFamily(name, about, labels=[*self._names, *labels])
        for key, value in sorted(values.items()):
            family.add_metric([*self._values, *key], float(value))
        return family

    def counter(self, name: str, about: str, values: Mapping[Any, float], *labels: str) -> Metric:
        """Values that only rise; Prometheus adds `_total` to the name."""
        family = CounterMetricFamily(name, about, labels=[*self._names, *labels])
        for key, value in sorted(values.items()):
            family.add_metric([*self._values, *key], float(value))
        return family

    def one(self, name: str, about: str, value: float) -> Metric:
        """A gauge without labels of its own."""
        return self.gauge(name, about, {(): value})

    def total(self, name: str, about: str, value: float) -> Metric:
        """A counter without labels of its own."""
        return self.counter(name, about, {(): value})

    def histogram(self, name: str, about: str, times: Histogram) -> Metric:
        """Times in their buckets."""
        family = HistogramMetricFamily(name, about, labels=self._names)
        family.add_metric(self._values, buckets=times.buckets(), sum_value=times.sum_s)
        return family

    def process(self) -> Iterator[Metric]:
        """This process, by the names that Prometheus' own clients use."""
        own = psutil.Process()
        with own.oneshot():
            times = own.cpu_times()
            yield self.total("process_cpu_seconds", "Processor time.", times.user + times.system)
            yield self.one("process_resident_memory_bytes", "Resident memory.", float(own.memory_info().rss))
            yield self.one("process_open_fds", "Open descriptors.", float(own.num_fds()))
            yield self.one("process_start_time_seconds", "When the process began.", own.create_time())


def as_text(collector: Collector) -> bytes:
    """What `collector` collects, in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry)
