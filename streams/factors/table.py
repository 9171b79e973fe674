"""Five categories, twelve factors, and how much each counts in which regime.

Every exposure is signed so that more is better: cheap, profitable, little debt, rising, calm,
growing.  The base weights are a decision, not an estimate: equal between categories in a normal
market, more on momentum and growth in a calm one, more on quality and low risk in a
stressed one; inside a category factors count alike.  ``learning.weights`` replaces them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

CATEGORIES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "value": ("pbr", "per", "pcr"),
        "quality": ("roe", "operating_margin", "debt_ratio"),
        "momentum": ("return_3m", "return_12m"),
        "risk": ("beta", "volatility"),
        "growth": ("sales_growth", "net_income_growth"),
    }
)

FACTORS: Final = tuple(name for names in CATEGORIES.values() for name in names)

BASE_VERSION: Final = "base-1"

CATEGORY_WEIGHTS: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        "calm": {"value": 0.2, "quality": 0.15, "momentum": 0.25, "risk": 0.15, "growth": 0.25},
        "normal": {"value": 0.2, "quality": 0.2, "momentum": 0.2, "risk": 0.2, "growth": 0.2},
        "stressed": {"value": 0.2, "quality": 0.3, "momentum": 0.1, "risk": 0.3, "growth": 0.1},
    }
)
"""Regime to category to weight; each row sums to 1."""

_GROUPS: Final = tuple(
    tuple(FACTORS.index(name) for name in names) for names in CATEGORIES.values()
)


def base_weights(regime: str) -> tuple[float, ...]:
    """Return the base weight of each factor in a regime; they sum to 1."""
    row = CATEGORY_WEIGHTS[regime]
    return tuple(
        row[category] / len(names) for category, names in CATEGORIES.items() for _ in names
    )


def applied_weights(weights: Floats, present: Flags) -> Floats:
    """Return each name's own weights: what is missing gives its weight away.

    A missing factor's weight goes to the factors of its category, a category with none to the
    other categories, both in proportion.

    Args:
        weights: (factors) of everybody, >= 0.
        present: (names, factors).

    Returns:
        (names, factors), 0 where missing; a row sums to 1, or to 0 when nothing is present.
    """
    out = np.zeros(present.shape)
    total = np.zeros(present.shape[0])
    for group in _GROUPS:
        whole = 0.0
        there = np.zeros(present.shape[0])
        for factor in group:
            whole += float(weights[factor])
            there += np.where(present[:, factor], weights[factor], 0.0)
        share = np.divide(whole, there, out=np.zeros_like(there), where=there > 0)
        for factor in group:
            out[:, factor] = np.where(present[:, factor], weights[factor] * share, 0.0)
        total += np.where(there > 0, whole, 0.0)
    scale = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
    return out * scale[:, np.newaxis]
