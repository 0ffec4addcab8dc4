"""DDL through vtctld: what test_ddl.py and test_ddl_session.py expect of it through vtgate is true of it, too."""

from __future__ import annotations

import pytest

from lib.bed import Bed
from lib.ddl import through_vtctld
from test_ddl import (test_alter_through_connector_prepared, test_alter_through_mariadb, test_alter_through_pymysql,
                      test_cancelled_by_somebody, test_closed_while_waiting_cancels, test_closed_while_waiting_detaches,
                      test_create_and_drop, test_drop_of_two_tables, test_failing_migration, test_failing_on_one_shard,
                      test_index, test_several_sessions_at_once, test_syntax_error_is_vtgates, test_timeout,
                      test_waits_until_completed)
from test_ddl_session import (test_own_strategy_gives_vtgates_answer, test_same_text_twice, test_session_is_as_before,
                              test_user_lock_survives, test_without_autocommit_and_in_a_transaction)
from test_ddl_text import test_hidden_ddl, test_log_has_no_statement, test_names_are_not_only_ascii, \
    test_several_statements

pytestmark = pytest.mark.long
__all__ = [name for name in dir() if name.startswith("test_")]


@pytest.fixture
def executor(bed: Bed) -> dict:
    return through_vtctld(bed)
