/* The command table against MySQL's include/my_command.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "protocol/command.h"

static const struct {
    uint8_t byte;
    const char *name;
    enum response_shape shape;
} commands[] = {
    {0, "sleep", SHAPE_SIMPLE},
    {1, "quit", SHAPE_NONE},
    {2, "init_db", SHAPE_SIMPLE},
    {3, "query", SHAPE_RESULT},
    {4, "field_list", SHAPE_FIELDS},
    {5, "create_db", SHAPE_SIMPLE},
    {6, "drop_db", SHAPE_SIMPLE},
    {7, "refresh", SHAPE_SIMPLE},
    {8, "shutdown", SHAPE_SIMPLE},
    {9, "statistics", SHAPE_SINGLE},
    {10, "process_info", SHAPE_RESULT},
    {11, "unknown", SHAPE_SIMPLE}, /* COM_CONNECT: internal to the server */
    {12, "process_kill", SHAPE_SIMPLE},
    {13, "debug", SHAPE_SIMPLE},
    {14, "ping", SHAPE_SIMPLE},
    {15, "unknown", SHAPE_SIMPLE}, /* COM_TIME, COM_DELAYED_INSERT: likewise */
    {16, "unknown", SHAPE_SIMPLE},
    {17, "change_user", SHAPE_AUTH},
    {18, "binlog_dump", SHAPE_STREAM},
    {19, "table_dump", SHAPE_SIMPLE},
    {20, "unknown", SHAPE_SIMPLE}, /* COM_CONNECT_OUT: likewise */
    {21, "register_slave", SHAPE_SIMPLE},
    {22, "stmt_prepare", SHAPE_PREPARE},
    {23, "stmt_execute", SHAPE_RESULT},
    {24, "stmt_send_long_data", SHAPE_NONE},
    {25, "stmt_close", SHAPE_NONE},
    {26, "stmt_reset", SHAPE_SIMPLE},
    {27, "set_option", SHAPE_SIMPLE},
    {28, "stmt_fetch", SHAPE_ROWS},
    {29, "unknown", SHAPE_SIMPLE}, /* COM_DAEMON: likewise */
    {30, "binlog_dump_gtid", SHAPE_STREAM},
    {31, "reset_connection", SHAPE_SIMPLE},
    {32, "unknown", SHAPE_SIMPLE},
    {0xfa, "unknown", SHAPE_SIMPLE}, /* MariaDB's COM_STMT_BULK_EXECUTE */
    {0xff, "unknown", SHAPE_SIMPLE},
};

static void each_command_has_its_name_and_shape(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        assert_string_equal(command_name(commands[i].byte), commands[i].name);
        assert_int_equal(command_shape(commands[i].byte), commands[i].shape);
    }
}

static void the_enum_has_the_bytes(void **state)
{
    (void)state;
    assert_int_equal(COM_QUIT, 0x01);
    assert_int_equal(COM_QUERY, 0x03);
    assert_int_equal(COM_CHANGE_USER, 0x11);
    assert_int_equal(COM_STMT_PREPARE, 0x16);
    assert_int_equal(COM_STMT_EXECUTE, 0x17);
    assert_int_equal(COM_RESET_CONNECTION, COMMAND_COUNT - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_command_has_its_name_and_shape),
        cmocka_unit_test(the_enum_has_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
