/*
 * config/check.h: the rules across settings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/check.h"
#include "config/options.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct rule_case {
    const char *set[8]; /* key, text, key, text, ... */
    const char *error;  /* NULL: allowed */
};

static const struct rule_case rule_cases[] = {
    {{"vtgate", "v:1"}, NULL},
    {{NULL}, "vtgate: is required and has no default"},
    {{"vtgate", "v:1", "admin", "", "http", ""}, NULL},
    {{"vtgate", "v:1", "tls.cert", "c"}, "tls.cert: needs tls.key, too"},
    {{"vtgate", "v:1", "tls.key", "k"}, "tls.key: needs tls.cert, too"},
    {{"vtgate", "v:1", "tls.cert", "c", "tls.key", "k", "tls.required", "1"}, NULL},
    {{"vtgate", "v:1", "tls.required", "1"}, "tls.required: needs tls.cert and tls.key"},
    {{"vtgate", "v:1", "tls.ca", "c"}, "tls.ca: needs tls.cert and tls.key"},
    {{"vtgate", "v:1", "vtgate_tls.cert", "c"}, "vtgate_tls.cert: needs vtgate_tls.key, too"},
    {{"vtgate", "v:1", "vtgate_tls.key", "k"}, "vtgate_tls.key: needs vtgate_tls.cert, too"},
    {{"vtgate", "v:1", "vtgate_tls.mode", "required"}, NULL},
    {{"vtgate", "v:1", "vtgate_tls.mode", "verify-ca"},
     "vtgate_tls.mode: verify-ca and verify-identity need vtgate_tls.ca"},
    {{"vtgate", "v:1", "vtgate_tls.mode", "verify-identity"},
     "vtgate_tls.mode: verify-ca and verify-identity need vtgate_tls.ca"},
    {{"vtgate", "v:1", "vtgate_tls.mode", "verify-identity", "vtgate_tls.ca", "c"}, NULL},
    {{"vtgate", "v:1,unix:/v", "vtgate_tls.mode", "verify-identity", "vtgate_tls.ca", "c"},
     "vtgate_tls.mode: verify-identity needs vtgate_tls.server_name for a unix: endpoint, which "
     "has no host name"},
    {{"vtgate", "unix:/v", "vtgate_tls.mode", "verify-identity", "vtgate_tls.ca", "c",
      "vtgate_tls.server_name", "v"},
     NULL},
    {{"vtgate", "v:1", "hold.max_ttl_s", "59"},
     "hold.default_ttl_s: 60 is above hold.max_ttl_s, which is 59"},
    {{"vtgate", "v:1", "hold.max_ttl_s", "60"}, NULL},
    {{"vtgate", "v:1", "limits.memory_bytes", "8388608"}, NULL},
    {{"vtgate", "v:1", "limits.memory_bytes", "8388607"},
     "limits.memory_bytes: 8388607 is less than the process itself takes; write 0, for no limit, "
     "or "
     "at least 8388608 (bytes)"},
    {{"vtgate", "v:1", "control.password", "hunter2"}, "control.password: needs control.user"},
    {{"vtgate", "v:1", "control.user", "u", "control.password", "p"}, NULL},
    {{"vtgate", "v:1", "vtctld.password", "p"}, "vtctld.password: needs vtctld.user"},
    {{"vtgate", "v:1", "vtctld.user", "u", "vtctld.password", "p p"}, NULL},
    {{"vtgate", "v:1", "vtctld.user", "\xc3\xbc"},
     "vtctld.user: gRPC takes printable ASCII characters only"},
    {{"vtgate", "v:1", "vtctld.user", "u", "vtctld.password", "\xc3\xbc"},
     "vtctld.password: gRPC takes printable ASCII characters only"},
    {{"vtgate", "v:1", "vtctld_tls.cert", "c"}, "vtctld_tls.cert: needs vtctld_tls.key, too"},
    {{"vtgate", "v:1", "vtctld_tls.mode", "verify-ca"},
     "vtctld_tls.mode: verify-ca and verify-identity need vtctld_tls.ca"},
    {{"vtgate", "v:1", "vtctld.addresses", "unix:/v", "vtctld_tls.mode", "verify-identity",
      "vtctld_tls.ca", "c"},
     "vtctld_tls.mode: verify-identity needs vtctld_tls.server_name for a unix: endpoint, which "
     "has no host name"},
    {{"vtgate", "v:1", "etcd.password", "p"}, "etcd.password: needs etcd.user"},
    {{"vtgate", "v:1", "etcd.user", "u", "etcd.password", "p"}, NULL},
    {{"vtgate", "v:1", "etcd_tls.key", "k"}, "etcd_tls.key: needs etcd_tls.cert, too"},
    {{"vtgate", "v:1", "etcd_tls.mode", "verify-ca"},
     "etcd_tls.mode: verify-ca and verify-identity need etcd_tls.ca"},
    {{"vtgate", "v:1", "fleet.etcd", "unix:/e", "etcd_tls.mode", "verify-identity", "etcd_tls.ca",
      "c"},
     "etcd_tls.mode: verify-identity needs etcd_tls.server_name for a unix: endpoint, which has no "
     "host name"},
    {{"vtgate", "v:1", "ddl.executor", "vtctld"}, "ddl.executor: vtctld needs vtctld.addresses"},
    {{"vtgate", "v:1", "fleet.etcd", "e:2379", "fleet.name", "zone-1.a_B"}, NULL},
    {{"vtgate", "v:1", "fleet.name", "a/b"}, "fleet.name: letters, digits, '_', '.' and '-' only"},
    {{"vtgate", "v:1", "ddl.executor", "vtctld", "vtctld.addresses", "c:1"}, NULL},
    {{"vtgate", "v:1", "ddl.executor", "vtctld", "vtctld.addresses", "c:1", "ddl.strategy",
      "direct"},
     "ddl.strategy: direct is not for ddl.executor vtctld, which runs online schema changes"},
    {{"vtgate", "v:1", "vtctld.addresses", "v:1"}, "vtctld.addresses: v:1 is also in vtgate"},
    {{"vtgate", "v:1,V:1"}, "vtgate: V:1 is there twice"},
    {{"vtgate", "v:1", "listen", "a:1,b:1,a:1"}, "listen: a:1 is there twice"},
    {{"vtgate", "127.0.0.1:13306"}, "vtgate: 127.0.0.1:13306 is also in listen"},
    {{"vtgate", "v:1,w:1", "vtgate_web.addresses", "v:2"},
     "vtgate_web.addresses: has 1 addresses, vtgate has 2: they must be the same number, in the "
     "same order"},
    {{"vtgate", "v:1", "vtgate_web.addresses", "v:2", "vtgate_web.port", "3"},
     "vtgate_web.port: goes without vtgate_web.addresses"},
    {{"vtgate", "v:1", "vtgate_web.addresses", "unix:/x"},
     "vtgate_web.addresses: must be HOST:PORT, not unix:"},
    {{"vtgate", "unix:/x", "vtgate_web.port", "3"},
     "vtgate_web.port: a unix: endpoint of vtgate has no host; use vtgate_web.addresses"},
    {{"vtgate", "127.0.0.1:13307"}, "admin: 127.0.0.1:13307 is also in vtgate"},
    {{"vtgate", "v:1", "http", "127.0.0.1:13307"}, "http: 127.0.0.1:13307 is also in admin"},
    {{"vtgate", "v:1", "admin", "127.0.0.1:13306"}, "admin: 127.0.0.1:13306 is also in listen"},
};

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rule_cases); i++) {
        const struct rule_case *t = &rule_cases[i];
        struct config *c = config_create_default();
        struct config_error err = {""};
        for (size_t j = 0; j < COUNT(t->set) && t->set[j] != NULL; j += 2) {
            assert_true(option_set_text(c, t->set[j], t->set[j + 1], &err));
        }
        bool ok = config_check(c, &err);
        assert_string_equal(err.text, t->error ? t->error : "");
        assert_int_equal(ok, t->error == NULL);
        config_destroy(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
