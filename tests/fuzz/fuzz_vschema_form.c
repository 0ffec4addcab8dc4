/*
 * Any JSON as what vtctld or a vtgate says of a keyspace, or of rules. Holds: each form equals itself, has a
 * digest of the size that is promised, and a difference has a place.
 */
#include "proxy/vschema_form.h"
#include "tests/fuzz/fuzz.h"

static void check_form(json_t *form)
{
    char one[VSCHEMA_DIGEST_SIZE], two[VSCHEMA_DIGEST_SIZE], where[128];
    json_t *empty = json_object();

    CHECK(form && !vschema_form_differs(form, form, where, sizeof(where)) && !*where);
    vschema_form_digest(form, one);
    vschema_form_digest(form, two);
    CHECK(strlen(one) == VSCHEMA_DIGEST_SIZE - 1 && strcmp(one, two) == 0);
    CHECK(vschema_form_differs(form, empty, where, sizeof(where)) == (*where != '\0'));
    json_decref(empty);
    json_decref(form);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);

    if (!json)
        return 0;
    check_form(vschema_form_of_topo(json));
    check_form(vschema_form_of_vtgate(json));
    check_form(vschema_form_rules_of_vtgate(json));
    check_form(vschema_form_rules_of_topo(json, json_object_get(json, "shard"), NULL, json));
    json_t *columns = vschema_form_columns(json);

    CHECK(columns);
    json_decref(columns);
    CHECK(vschema_form_error(json));
    json_decref(json);
    return 0;
}
