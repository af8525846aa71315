"""No kept or drawn input crashes a parser, makes it hang, or raises an error that it does not declare."""

import os

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.inputs import inputs
from tests.fuzz.target import FuzzTarget, all_targets

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
TARGETS = tuple(all_targets())


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_kept_inputs_are_read_or_refused(target: FuzzTarget) -> None:
    assert target.corpus, f"keep an example of what is written in tests/fuzz/corpus/{target.name}"
    for path in target.corpus:
        try:
            target(path.read_bytes())
        except BaseException as error:
            error.add_note(f"the input is {path}")
            raise


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_drawn_inputs_are_read_or_refused(target: FuzzTarget) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(inputs(target))
    def example(data: bytes) -> None:
        target(data)

    example()
