"""Fixtures of the contract suites."""

from tests.contract.store_fixtures import backend, ledger

__all__ = ["backend", "ledger"]
