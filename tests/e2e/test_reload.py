"""SIGHUP and RELOAD: settings and certificates are exchanged under sessions that notice nothing."""

from __future__ import annotations

import shutil
import signal
import ssl
import threading

import pymysql
import pytest

from lib.certificates import Certificates
from lib.poll import until


def effects(rows: list[dict]) -> dict[str, tuple]:
    return {row["setting"]: (row["old"], row["new"], row["effect"]) for row in rows}


def setting(shim, key: str) -> str:
    return next(row["value"] for row in shim.admin("SHOW CONFIG") if row["name"] == key)


def serial(shim, ca) -> int:
    """Of the certificate that the shim shows now."""
    with shim.connect(ssl={"ca": str(ca), "check_hostname": False}) as connection:
        der = connection._sock.getpeercert(binary_form=True)
    return hash(der)


def test_reload_says_what_changed(shim):
    """RELOAD answers with each difference, old and new, and whether it holds now or after a restart."""
    shim.write_config({"hold": {"max_wait_ms": 1234}, "log": {"level": "debug"}, "workers": 3})
    assert effects(shim.admin("RELOAD")) == {
        "hold.max_wait_ms": ("30000", "1234", "now"), "log.level": ("info", "debug", "now"),
        "workers": ("2", "3", "restart")}
    assert setting(shim, "hold.max_wait_ms") == "1234" and setting(shim, "workers") == "2"
    # Once more: what waits for a restart is still said, the rest is done.
    assert set(effects(shim.admin("RELOAD"))) == {"workers"}
    assert shim.events("setting_changed", setting="hold.max_wait_ms", old=30000, new=1234, effect="now")
    assert shim.events("reloaded", changed=2, need_restart=1)


def test_reloaded_settings_are_used(start_shim):
    """By sessions that are there already: the longest wait behind a hold, and DDL interception."""
    shim = start_shim()
    with shim.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        shim.write_config({"hold": {"max_wait_ms": 50}})
        shim.process.send_signal(signal.SIGHUP)
        shim.wait_event("reloaded", changed=1, need_restart=0)
        shim.hold("TABLE commerce.demo FOR 30")
        with pytest.raises(pymysql.Error) as late:
            cursor.execute("SELECT count(*) FROM demo")
        assert "hold" in str(late.value)
        shim.admin("RELEASE ALL")
        cursor.execute("SELECT count(*) FROM demo")


@pytest.mark.parametrize("change, reason", [
    ({"hold": {"max_wait_ms": 0}}, "max_wait_ms"),
    ({"no_such_setting": 1}, "no_such_setting"),
    ({"tls": {"cert": "/nonexistent/cert.pem", "key": "/nonexistent/key.pem"}}, "/nonexistent/cert.pem"),
    ({"tls": {"required": True}}, "tls.required"),
    ({"proxy_protocol": {"from": ["not a network"]}}, "not a network"),
], ids=["bound", "unknown", "file", "rule", "network"])
def test_all_or_nothing(start_shim, change, reason):
    """One thing wrong, and nothing changes; the answer and the log say what it is."""
    shim = start_shim()
    shim.write_config({"hold": {"default_ttl_s": 77}} | {key: value for key, value in change.items() if key != "hold"})
    if "hold" in change:
        shim.write_config(change)
    with pytest.raises(pymysql.Error) as refused:
        shim.admin("RELOAD")
    assert reason in str(refused.value) and "nothing is changed" in str(refused.value)
    assert reason in shim.wait_event("reload_failed")["error"]
    assert setting(shim, "hold.default_ttl_s") == "60"
    assert shim.run("SELECT 1 AS one") == [{"one": 1}]


def test_broken_file(shim):
    shim.config_file.write_text("{ not json")
    shim.process.send_signal(signal.SIGHUP)
    assert str(shim.config_file) in shim.wait_event("reload_failed")["error"]
    assert shim.run("SELECT 1 AS one") == [{"one": 1}]


def test_certificate_is_renewed_under_sessions(start_shim, tmp_path):
    """New files behind the same names: sessions go on with what they have, new ones see the new certificate."""
    old, new = Certificates(tmp_path / "old"), Certificates(tmp_path / "new")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"

    def install(certificates: Certificates) -> None:
        shutil.copy(certificates.path("server.pem"), cert)
        shutil.copy(certificates.path("server-key.pem"), key)

    install(old)
    shim = start_shim({"tls": {"cert": str(cert), "key": str(key)}})
    first = serial(shim, old.path("ca.pem"))
    with shim.connect(ssl={"ca": str(old.path("ca.pem")), "check_hostname": False}) as connection, \
            connection.cursor() as cursor:
        cursor.execute("SET @kept = 42")
        install(new)
        assert shim.admin("RELOAD") == []
        assert serial(shim, new.path("ca.pem")) != first
        with pytest.raises((pymysql.Error, ssl.SSLError)):
            serial(shim, old.path("ca.pem"))
        cursor.execute("SELECT @kept, repeat('k', 100000)")
        assert cursor.fetchone() == (42, "k" * 100_000)
    found = shim.events("certificate")
    assert len(found) == 2 and found[0]["sha256"] != found[1]["sha256"] and found[1]["expires"] > "2"


def test_key_that_does_not_fit(start_shim, tmp_path):
    """Half-renewed files: the old certificate stays in use."""
    old, new = Certificates(tmp_path / "old"), Certificates(tmp_path / "new")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    shutil.copy(old.path("server.pem"), cert)
    shutil.copy(old.path("server-key.pem"), key)
    shim = start_shim({"tls": {"cert": str(cert), "key": str(key)}})
    shutil.copy(new.path("server.pem"), cert)
    with pytest.raises(pymysql.Error) as refused:
        shim.admin("RELOAD")
    assert "tls.key" in str(refused.value)
    serial(shim, old.path("ca.pem"))


def test_tls_switched_on_and_off(start_shim, certificates):
    shim = start_shim()
    context = {"ca": str(certificates.path("ca.pem")), "check_hostname": False}
    with shim.connect() as kept, kept.cursor() as cursor:
        shim.write_config({"tls": {"cert": str(certificates.path("server.pem")),
                                   "key": str(certificates.path("server-key.pem")), "required": True}})
        assert "tls.cert" in effects(shim.admin("RELOAD"))
        with shim.connect(ssl=context) as secured:
            assert secured._sock.version().startswith("TLS")
        with pytest.raises(pymysql.Error):
            shim.connect(ssl_disabled=True)
        cursor.execute("SELECT 1")
        shim.write_config({"tls": {"cert": "", "key": "", "required": False}})
        shim.admin("RELOAD")
        shim.connect(ssl_disabled=True).close()
        cursor.execute("SELECT 1")


def test_admin_users_change(start_shim):
    """Who is logged in stays; who is new needs the new password. No password is shown."""
    shim = start_shim()
    shim.secret("quite-a-secret", "another-secret")
    with shim.admin_connect() as before, before.cursor() as cursor:
        shim.write_config({"admin_users": {"sre": "quite-a-secret"}})
        cursor.execute("RELOAD")
        (changed, _, now, effect), = cursor.fetchall()
        assert (changed, effect) == ("admin_users", "now") and "sre" in now and "secret" not in now
        with pytest.raises(pymysql.Error):
            shim.admin_connect()
        shim.admin_connect(password="quite-a-secret").close()
        cursor.execute("SHOW VERSION")


def test_reload_under_load(start_shim, certificates):
    """Thirty reloads while sessions come, work and go: no error, and nothing that a sanitizer minds."""
    shim = start_shim({"tls": {"cert": str(certificates.path("server.pem")),
                               "key": str(certificates.path("server-key.pem"))}})
    over, failures, done = threading.Event(), [], []
    tls = {"ca": str(certificates.path("ca.pem")), "check_hostname": False}

    def work(number: int) -> None:
        while not over.is_set():
            try:
                with shim.connect(**({"ssl": tls} if number % 2 else {})) as connection, connection.cursor() as cursor:
                    for _ in range(5):
                        cursor.execute("SELECT count(*) FROM demo WHERE id = %s", (number,))
                    done.append(number)
            except Exception as error:  # pylint: disable=broad-except
                failures.append(repr(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    try:
        with shim.admin_connect() as connection, connection.cursor() as cursor:
            for turn in range(30):
                shim.write_config({"hold": {"default_ttl_s": 60 + turn % 2}, "timeouts": {"login_ms": 9000 + turn}})
                assert cursor.execute("RELOAD") == 2 if turn else 1
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not failures, failures[:3]
    assert len(done) > 20
    until(lambda: shim.metric("vtshim_sessions") == 0, "all are gone")
