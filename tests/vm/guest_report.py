# SPDX-License-Identifier: LGPL-2.1-or-later
"""For a conftest.py to import: a failed test shows what its guests have to say."""

import pytest
from guest import Guest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.failed:
        for guest in item.funcargs.values():
            if isinstance(guest, Guest):
                report.sections.append(("guest", guest.evidence()))
