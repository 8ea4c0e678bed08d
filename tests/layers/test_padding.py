"""The paddings: the least that will do, for every size, window and stride; and the sizes that are said to work, do."""

import itertools

import pytest

from groco.groups import get_group
from groco.layers.padding import PADDINGS, depends_on_size, is_exact, total_padding, working_sizes
from tests.layers import reference

CASES = list(itertools.product(range(1, 12), range(1, 7), range(1, 6)))
paddings = pytest.mark.parametrize("padding", PADDINGS)


@paddings
@pytest.mark.parametrize("group", ["PM", "P1"])
def test_is_the_definition(padding, group):
    group = get_group(group, 1)
    for size, window, stride in CASES:
        (expected,) = reference.window_paddings(padding, [size], [window], [stride], group)
        assert total_padding(padding, size, window, stride, group.mirrored_axes[0]) == sum(expected)


@paddings
def test_exact_is_when_the_windows_are_mirrored_onto_themselves(padding):
    for size, window, stride in CASES:
        total = total_padding(padding, size, window, stride, True)
        if size + total < window:
            continue
        before = total // 2
        starts = {start - before for start in range(0, size + total - window + 1, stride)}
        mirrored = {size - window - start for start in starts}
        assert is_exact(total, size, window, stride) == (starts == mirrored), (size, window, stride)


@paddings
def test_what_does_not_depend_on_the_size_is_the_same_for_all(padding):
    for window, stride, mirrored in itertools.product(range(1, 7), range(1, 6), (True, False)):
        if not depends_on_size(padding, stride, mirrored):
            totals = {total_padding(padding, size, window, stride, mirrored) for size in range(1, 12)}
            exact = {is_exact(total, size, window, stride) for total in totals for size in range(1, 12)}
            assert len(totals) == 1
            assert not mirrored or len(exact) == 1


@paddings
def test_working_sizes_are_the_nearest_that_work(padding):
    for size, window, stride in CASES:
        if size + total_padding(padding, size, window, stride, True) < window:
            continue  # it is refused for that
        found = working_sizes(padding, size, window, stride)
        working = []
        for other in range(1, 40):
            total = total_padding(padding, other, window, stride, True)
            if other != size and other + total >= window and is_exact(total, other, window, stride):
                working.append(abs(other - size))
        assert [abs(other - size) for other in sorted(found, key=lambda n: abs(n - size))] == sorted(working)[:2]
