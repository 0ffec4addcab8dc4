/*
 * The commands of the admin port: a handler for each row of admin_commands.def.
 */
#ifndef VTSHIM_PROXY_ADMIN_COMMANDS_H
#define VTSHIM_PROXY_ADMIN_COMMANDS_H

#include "planner/lexer.h"
#include "proxy/admin.h"
#include "proxy/admin_parse.h"

/* Reads the command from behind its keywords. Takes over rq. */
typedef void admin_handler(struct admin_request *rq, struct lexer *lx);

admin_handler admin_hold, admin_explain_hold, admin_release, admin_show_hold, admin_wait_hold,
    admin_show_fleet;
admin_handler admin_help, admin_accept, admin_select, admin_drain_vtgate, admin_resume_vtgate,
    admin_reload, admin_reload_schema;
admin_handler admin_show_holds, admin_show_sessions, admin_show_migrations, admin_show_stats,
    admin_show_config, admin_show_version, admin_show_vtgates, admin_show_vschemas,
    admin_show_changes, admin_show_differences, admin_show_shapes, admin_warm, admin_show_warnings;

admin_handler admin_show_transactions, admin_show_parked, admin_show_workers, admin_show_listeners,
    admin_show_digests, admin_show_errors, admin_show_memory, admin_show_users, admin_show_audit,
    admin_show_options;

/* admin_mysql.c */
admin_handler admin_show_processlist, admin_show_full_processlist, admin_show_variables,
    admin_show_status, admin_show_databases, admin_show_tables;

/* admin_process.c */
admin_handler admin_set, admin_log_level, admin_drain, admin_resume, admin_shutdown,
    admin_kill_session;

admin_handler admin_show_migration, admin_cancel_migration, admin_retry_migration,
    admin_complete_migration, admin_postpone_migration, admin_throttle_migration,
    admin_unthrottle_migration, admin_revert_migration, admin_kill_query;

/* HOLD and EXPLAIN HOLD: what is said, the owner included. False: the client has an error. */
bool admin_read_hold(struct admin_request *rq, struct lexer *lx, struct admin_hold *h);
admin_handler admin_deploy_plan, admin_resume_plan, admin_cancel_plan, admin_show_plan,
    admin_show_plans;
admin_handler admin_deploy_vschema, admin_deploy_routing, admin_switch_traffic, admin_reparent,
    admin_rollback_transition, admin_show_transitions, admin_show_transition;

/* Calls fn with the last words of each SHOW without arguments that the role may give. */
void admin_each_show(enum config_role role, void (*fn)(void *arg, const char *name), void *arg);

/* Answers with that syntax error (1064). */
void admin_refuse(struct admin_request *rq, const struct admin_error *error);

/* True when nothing but a ';' follows, or behind SHOW a filter, which admin_reply_table then
   applies; else answers with a syntax error. */
bool admin_expect_end(struct admin_request *rq, struct lexer *lx);

#endif
