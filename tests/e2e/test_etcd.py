"""An etcd with TLS, client certificates and users: the fleet's, and the one that has the topology."""

from __future__ import annotations

import secrets

import pymysql
import pytest

from lib.etcd import PASSWORD, Etcd
from lib.poll import until
from lib.shim import merge


def settings(etcd: Etcd) -> dict:
    return etcd.login_settings() | {
        "fleet": {"etcd": [etcd.address], "name": f"test-{secrets.token_hex(4)}", "lease_s": 2, "poll_ms": 50, "isolation_ms": 500},
        "topo": {"addresses": [etcd.address], "roots": ["/vitess/zone1"]}}


def shims_of_a_hold(shim) -> int:
    """How many have a hold that is set now; 0: it was given up, for they had lost each other meanwhile."""
    try:
        return int(shim.admin("HOLD TABLE commerce.demo STICKY")[0]["shims"])
    except pymysql.Error as error:
        assert "before all shims of the fleet had it" in error.args[1], error
        return 0


def test_tls_and_a_login(start_shim, secure):
    """Two shims share a hold and see the topology change; when etcd starts anew they log in again."""
    config = settings(secure)
    one, two = start_shim(config), start_shim(config)
    one.secret(PASSWORD)
    until(lambda: len(one.admin("SHOW FLEET")) == len(two.admin("SHOW FLEET")) == 2, "they know of each other", 10)
    row, = one.admin("HOLD TABLE commerce.demo STICKY")
    assert int(row["shims"]) == 2 and len(two.admin("SHOW HOLDS")) == 1
    one.admin("RELEASE ALL")
    one.wait_event("topo_watched", root="/vitess/zone1")
    secure.put("/vitess/zone1/SrvVSchema", "x")
    until(lambda: [row for row in one.admin("SHOW CHANGES") if row["source"] == "etcd"], "the change is seen", 5)
    secure.stop()
    secure.start().log_in()  # what tokens there were are no good any more
    until(lambda: len(one.admin("SHOW FLEET")) == len(two.admin("SHOW FLEET")) == 2 and shims_of_a_hold(one) == 2,
          "they are a fleet again", 20)
    until(lambda: len(two.admin("SHOW HOLDS")) == 1, "the other holds, too", 5)


@pytest.mark.parametrize("change, error", [
    ({"etcd": {"password": "wrong_secret_1"}}, "authentication failed"),
    ({"etcd": {"user": "", "password": ""}}, "permission denied"),
    ({"etcd_tls": {"ca": "other-ca.pem"}}, "unable to get local issuer certificate"),
    ({"etcd_tls": {"server_name": "elsewhere.invalid"}}, "hostname mismatch"),
    ({"etcd_tls": {"cert": "", "key": ""}}, ""),
    ({"etcd_tls": {"mode": "off", "ca": "", "cert": "", "key": ""}}, "")],
    ids=["password", "no user", "authority", "name", "no certificate", "no tls"])
def test_refusals(start_shim, secure, change, error):
    """Whatever is wrong is said, nobody joins, and the shim goes on by itself."""
    config = merge(settings(secure), change)
    if change.get("etcd_tls", {}).get("ca"):
        config["etcd_tls"]["ca"] = str(secure.certificates.path(change["etcd_tls"]["ca"]))
    shim = start_shim(config)
    shim.secret(config["etcd"]["password"] or PASSWORD)
    assert error in shim.wait_event("fleet_etcd_failed")["error"]
    assert shim.wait_event("topo_watch_ended", root="/vitess/zone1")["error"]
    shim.wait_event("fleet_isolated")
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
