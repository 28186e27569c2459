"""The audit of arriving bars: splits, dividends, rolls and revisions are told apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from datasets.archive.audit import Finding, compare
from datasets.archive.sides import tick_of
from datasets.bars import Instrument
from tests.support.archives import AAPL, without
from tests.support.audited_sides import DAY_MS, N_BARS, audited, side, walk


@pytest.mark.parametrize("factor", [0.25, 0.5, 1 / 3, 0.1, 10], ids="x{:.3g}".format)
@pytest.mark.parametrize(("level", "decimals"), [(200, 2), (200, 6), (10, 6)])
@pytest.mark.parametrize("seed", range(3))
def test_a_split_is_a_ratio_that_divides_the_volumes(
    seed: int, level: float, decimals: int, factor: float
) -> None:
    prices, volumes = walk(seed, level, decimals)
    date = 200 + 100 * seed
    later, later_volumes = prices.copy(), volumes.copy()
    later[:date] = np.round(prices[:date] * factor, decimals)
    later_volumes[:date] = np.round(volumes[:date] / factor)

    audit = audited(side(prices, volumes), side(later, later_volumes))

    assert audit.finding is Finding.RATIO
    assert audit.is_split
    assert audit.basis is not None
    assert audit.basis.factor == pytest.approx(factor, rel=1e-4)
    assert audit.basis.volume_factor == pytest.approx(1 / factor, rel=1e-4)
    assert audit.changed[-1] == (date - 1) * DAY_MS


@pytest.mark.parametrize("part", [0.0005, 0.001, 0.01, 0.05], ids="{:.2%}".format)
@pytest.mark.parametrize(("level", "decimals"), [(200, 2), (10, 6)])
@pytest.mark.parametrize("seed", range(3))
def test_a_dividend_is_a_ratio_that_leaves_the_volumes(
    seed: int, level: float, decimals: int, part: float
) -> None:
    prices, volumes = walk(seed, level, decimals)
    later = prices.copy()
    later[:500] = np.round(prices[:500] * (1 - part), decimals)

    audit = audited(side(prices, volumes), side(later, volumes))

    assert audit.finding is Finding.RATIO
    assert not audit.is_split
    assert audit.basis is not None
    assert audit.basis.factor == pytest.approx(1 - part, abs=5e-5)
    assert audit.basis.volume_factor == 1


@pytest.mark.parametrize(("level", "decimals"), [(4000, 2), (10, 2), (1, 4)])
def test_a_constant_difference_of_a_future_is_a_roll(level: float, decimals: int) -> None:
    prices, volumes = walk(1, level, decimals)
    later = prices.copy()
    later[:400] = np.round(prices[:400] + level / 100, decimals)
    future = Instrument(type="futures")

    audit = audited(side(prices, volumes, future), side(later, volumes, future))

    assert audit.finding is Finding.OFFSET
    assert audit.basis is not None
    assert audit.basis.factor == 1
    assert audit.basis.offset == pytest.approx(level / 100)


@pytest.mark.parametrize("seed", range(5))
def test_single_revised_prices_are_unexplained(seed: int) -> None:
    prices, volumes = walk(seed, 200, 2)
    later = prices.copy()
    later[[40, 41, 300 + seed], 3] += [0.5, -0.3, 0.2]

    audit = audited(side(prices, volumes), side(later, volumes))

    assert audit.finding is Finding.UNEXPLAINED
    assert audit.basis is None
    assert (audit.changed // DAY_MS).tolist() == [40, 41, 300 + seed]
    assert audit.largest_change == pytest.approx(0.5 / prices[40, 3])


@pytest.mark.parametrize("revised", [[100], [20, 21, 119], [127], [90, 126, 127]])
def test_a_split_beside_a_few_revised_bars_is_a_ratio(revised: list[int]) -> None:
    prices, volumes = (each[:128] for each in walk(2, 200, 2))
    later = prices.copy()
    later[:120] = np.round(prices[:120] / 4, 6)
    later[revised, 3] += 0.04

    audit = audited(side(prices, volumes), side(later, volumes))

    assert audit.finding is Finding.RATIO
    assert audit.basis is not None
    assert audit.basis.factor == pytest.approx(0.25)


@pytest.mark.parametrize("factor", [0.25, 0.1, 1 / 3, 10])
@pytest.mark.parametrize(("level", "decimals"), [(200, 2), (1, 2), (30_000, 0)])
def test_a_split_is_found_where_prices_are_rounded_to_coarse_ticks(
    level: float, decimals: int, factor: float
) -> None:
    for seed in range(12):
        prices, volumes = (each[:128] for each in walk(seed, level, decimals))
        later = np.round(prices * factor, decimals)

        audit = audited(side(prices, volumes), side(later, np.round(volumes / factor)))

        assert audit.finding is Finding.RATIO, seed
        assert audit.basis is not None
        assert audit.basis.factor == pytest.approx(factor, rel=0.02)


def test_the_factor_of_a_split_is_the_exact_fraction() -> None:
    prices, volumes = walk(3, 200, 2)

    audit = audited(side(prices, volumes), side(np.round(prices / 3, 2), volumes * 3))

    assert audit.basis is not None
    assert audit.basis.factor == 1 / 3


def test_a_dividend_below_the_tick_is_found_where_adjusted_prices_have_more_decimals() -> None:
    prices, volumes = walk(3, 1, 2)

    audit = audited(side(prices, volumes), side(np.round(prices * 0.997, 6), volumes))

    assert audit.finding is Finding.RATIO
    assert audit.basis is not None
    assert audit.basis.factor == pytest.approx(0.997)


def test_many_revised_bars_of_no_common_factor_are_unexplained() -> None:
    prices, volumes = (each[:128] for each in walk(2, 200, 2))
    later = prices.copy()
    later[:120] = np.round(prices[:120] / 4, 6)
    later[60:100, 3] += 0.04

    assert audited(side(prices, volumes), side(later, volumes)).finding is Finding.UNEXPLAINED


def test_the_oldest_bar_alone_is_revised_and_no_split() -> None:
    prices, volumes = walk(3, 200, 2)
    later = prices.copy()
    later[0] = np.round(prices[0] * 0.5, 2)

    assert audited(side(prices, volumes), side(later, volumes)).finding is Finding.UNEXPLAINED


def test_two_bars_that_are_all_there_is_show_a_split() -> None:
    prices, volumes = walk(3, 400, 2)

    audit = audited(side(prices, volumes).at(np.arange(600) < 2), side(prices / 4, volumes * 4))

    assert audit.finding is Finding.RATIO
    assert audit.is_split


def test_equal_bars_are_the_same_and_other_volumes_are_only_that() -> None:
    prices, volumes = walk(4, 50, 2)
    later = volumes.copy()
    later[-2:] += 100

    assert audited(side(prices, volumes), side(prices, volumes)).finding is Finding.SAME
    audit = audited(side(prices, volumes), side(prices, later))

    assert audit.finding is Finding.VOLUME
    assert (audit.volume // DAY_MS).tolist() == [598, 599]


def test_absent_volumes_are_equal_and_an_absent_one_differs_from_zero() -> None:
    prices, _ = walk(4, 50, 2)
    absent, zero = np.full(N_BARS, np.nan), np.zeros(N_BARS)

    assert audited(side(prices, absent), side(prices, absent)).finding is Finding.SAME
    assert audited(side(prices, absent), side(prices, zero)).finding is Finding.VOLUME


def test_a_bar_that_was_forming_has_closed() -> None:
    prices, volumes = walk(5, 50, 2)
    later = prices.copy()
    later[-1] += 0.25
    is_final = np.arange(N_BARS) < N_BARS - 1

    audit = audited(side(prices, volumes, is_final=is_final), side(later, volumes))

    assert audit.finding is Finding.CLOSED
    assert (audit.closed // DAY_MS).tolist() == [N_BARS - 1]


def test_a_placeholder_of_today_vanishes_without_alarm_and_a_traded_bar_does_not() -> None:
    prices, volumes = walk(6, 50, 2)
    volumes[-2] = 0
    held = side(prices, volumes)
    arrived = held.at(~np.isin(np.arange(N_BARS), [100, N_BARS - 2]))

    audit = compare(held, arrived, held_at_ms=(N_BARS - 2) * DAY_MS + 1)

    assert audit.finding is Finding.VANISHED
    assert (audit.vanished // DAY_MS).tolist() == [100]
    assert (audit.placeholders // DAY_MS).tolist() == [N_BARS - 2]


@pytest.mark.parametrize(
    "changes",
    [{"full_name": "BATS:AAPL"}, {"currency": "EUR"}],
    ids=lambda value: next(iter(value)),
)
def test_another_listing_or_currency_is_another_feed(changes: dict[str, Any]) -> None:
    prices, volumes = walk(7, 50, 2)

    audit = audited(side(prices, volumes, AAPL), side(prices, volumes, without(AAPL, **changes)))

    assert audit.finding is Finding.FEED_CHANGED


def test_another_delay_is_another_feed_only_where_the_bars_differ() -> None:
    prices, volumes = walk(7, 50, 2)
    delayed, later = without(AAPL, delay_s=900), volumes.copy()
    later[10] += 5

    same = audited(side(prices, volumes, AAPL), side(prices, volumes, delayed))
    other = audited(side(prices, volumes, AAPL), side(prices, later, delayed))

    assert same.finding is Finding.SAME
    assert other.finding is Finding.FEED_CHANGED


def test_an_absent_fact_is_no_other_feed() -> None:
    prices, volumes = walk(7, 50, 2)

    assert audited(side(prices, volumes), side(prices, volumes, AAPL)).finding is Finding.SAME


def test_the_tick_is_the_stated_one_unless_prices_are_finer() -> None:
    assert tick_of(np.array([[1.25, 3.5]]), AAPL) == 0.01
    assert tick_of(np.array([[124.8075, 3.5]]), AAPL) == 0.0001
    eighths = Instrument(pricescale=32, minmov=1)
    assert tick_of(np.array([[110.03125, 110.5]]), eighths) == 1 / 32


def test_bars_without_a_common_time_are_not_compared() -> None:
    prices, volumes = walk(8, 50, 2)
    later = side(prices, volumes, times=np.arange(N_BARS) * DAY_MS + N_BARS * DAY_MS)

    assert audited(side(prices * 4, volumes), later).finding is Finding.SAME
